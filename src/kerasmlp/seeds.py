"""Train with several seeds, and print the mean accuracy and how much it varies."""

import functools
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kerasmlp import cli, flags, runs
from kerasmlp.processes import RemoteError
from kerasmlp.runs import Repetition as Settings

if TYPE_CHECKING:
    from rich.table import Table


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""

    def command() -> None:
        default = Settings.starting_from(flags.peek(argv, **runs.DECIDING))
        settings = flags.parse(Settings, "kerasmlp.seeds", argv, default)
        cli.choose_backend()  # before the folder of the runs is made
        try:
            folder, result = runs.repeat(settings, functools.partial(cli.quiet_start, settings.verbose))
        except RemoteError as error:
            raise cli.FailedError(str(error)) from error
        from rich.console import Console

        print(f"data: {result['dataset']}")
        print(f"runs: {folder}")
        Console().print(table(result))
        if len(result["seeds"]) < runs.FEW:
            print(
                f"note: {len(result['seeds'])} seeds say little of the mean: the interval is so wide"
                f" because they are few; --seeds {runs.FEW}, or more, says more",
                file=sys.stderr,
            )

    return cli.run(command)


def table(result: Mapping[str, Any]) -> "Table":
    """Return the results of the runs, and their statistics, as a table."""
    from rich.table import Table

    names = list(result["runs"][0])
    drawn = Table()
    for name in ("seed", *names):
        drawn.add_column(name.replace("_", " "), justify="right")
    for seed, metrics in zip(result["seeds"], result["runs"], strict=True):
        drawn.add_row(str(seed), *(f"{metrics[name]:.4f}" for name in names))
    drawn.add_section()
    rows = {
        "mean": "mean",
        "standard deviation": "standard_deviation",
        f"{runs.CONFIDENCE:.0%} from": "low",
        "to": "high",
    }
    for title, statistic in rows.items():
        drawn.add_row(title, *(f"{result[name][statistic]:.4f}" for name in names))
    return drawn


if __name__ == "__main__":
    sys.exit(main())
