"""Compare training loops: whether they agree, and if not why; and what each costs."""

import sys
import types
from collections.abc import Sequence
from typing import Any

from kerasmlp import cli
from kerasmlp.config import CompareSettings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    agree = False

    def command() -> None:
        nonlocal agree
        settings = cli.parse(CompareSettings, "kerasmlp.compare", argv)
        agree = _compare(settings)

    return cli.run(command) or (0 if agree else 1)


def _compare(settings: CompareSettings) -> bool:
    """Compare as `settings` say, print and write the report, and return whether the loops agree."""
    from kerasmlp.rows import Row

    compilation: dict[str, Any] = {
        "jit_compile": settings.jit_compile or None,
        "steps_per_execution": settings.steps_per_execution,
    }
    rows = [Row.parse(loop, **compilation) for loop in (*settings.loops, *settings.loop)]
    rows += [Row.parse(step, is_step=True, **compilation) for step in settings.train_step]
    from rich.console import Console

    from kerasmlp import comparison, report
    from kerasmlp.data import MNISTLoader

    with cli.quiet_start(settings.verbose):
        data = MNISTLoader(settings.data)
    start = comparison.handbook_start(data, settings.batch_size, settings.seed, settings.model)
    with report.folder(settings.output) as folder:
        found = comparison.compare_rows(
            start, rows, settings.epochs, settings.repeats, settings.time_limit
        )
        print(f"data: {data.name}")
        found.show(Console())
        with cli.quiet_start(settings.verbose):  # TensorBoard's writer imports TensorFlow
            report.write(found, folder)
    if settings.explain:
        print(report.explanation(found))
    print(f"report: {folder}")
    print("the loops agree" if found.agree else "the loops do not agree")
    return found.agree


class _Module(types.ModuleType):
    """This module, callable: `kerasmlp.compare(...)` is the comparison, before and after its import."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        from kerasmlp import comparison

        return comparison.compare(*args, **options)


sys.modules[__name__].__class__ = _Module

if __name__ == "__main__":
    sys.exit(main())
