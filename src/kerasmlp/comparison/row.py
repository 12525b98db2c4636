"""A row of a comparison: which loop, how it is compiled and spread; and what every row starts from."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from kerasmlp.comparison.names import imported
from kerasmlp.comparison.process import Process, Talk
from kerasmlp.distribute import free_addresses, tf_config

if TYPE_CHECKING:
    import keras

    from kerasmlp.loops import Loop
from kerasmlp.comparison.start import Start

BUILT_IN = ("fit", "graph", "eager")
_SPELLING = re.compile(
    r"(?P<loop>[\w.:]+)(?P<jit>\+jit)?(\+(?P<strategy>mirrored|multiworker)(?P<replicas>[1-9]\d?))?"
    r"(@(?P<steps>[1-9]\d{0,5}))?"
)


@dataclasses.dataclass(frozen=True)
class Row:
    """A loop, and how it is compiled.

    Attributes:
        name: what the tables call it.
        loop: one of `BUILT_IN`, `package.module:name`, or the loop itself.
        is_step: whether `loop` is a train step, `(model, x, y) -> loss`, to be run under `tf.function`.
        jit_compile: through XLA; None leaves it as the model was compiled.
        steps_per_execution: steps in one call; None leaves it as the model was compiled.
        strategy: `mirrored` or `multiworker`, which a built-in loop is spread by; `none`.
        replicas: how many logical CPUs it is spread over, or processes on this machine.
    """

    name: str
    loop: "str | Loop | Callable[..., Any]"
    is_step: bool = False
    jit_compile: bool | None = None
    steps_per_execution: int | None = None
    strategy: str = "none"
    replicas: int = 1

    @classmethod
    def parse(
        cls,
        spelling: str,
        name: str | None = None,
        *,
        is_step: bool = False,
        jit_compile: bool | None = None,
        steps_per_execution: int | None = None,
    ) -> "Row":
        """Return the row that is spelled `LOOP`, with `+jit`, `+mirrored2` or `+multiworker2`, `@100`.

        Args:
            spelling: the loop is a built-in one or `package.module:name`.
            name: what to call it; None for its spelling.
            is_step: whether it names a train step.
            jit_compile: where the spelling has no `+jit`.
            steps_per_execution: where the spelling has no `@`.

        Raises:
            ValueError: it is not so spelled, or asks for what there is not.
        """
        match = _SPELLING.fullmatch(spelling)
        if match is None or (match["loop"] not in BUILT_IN and ":" not in match["loop"]):
            raise ValueError(
                f"expected {', '.join(BUILT_IN)} or package.module:name, then +jit, +mirroredN or"
                f" +multiworkerN, and @N at will, as in graph+jit@100; received {spelling!r}"
            )
        if match["strategy"]:
            return cls._spread(match, name or spelling, steps_per_execution)
        if match["loop"] == "eager":
            if match["jit"] or match["steps"]:
                raise ValueError(
                    f"the eager loop compiles nothing: expected eager; received {spelling!r}"
                )
            return cls(name or spelling, "eager", jit_compile=False, steps_per_execution=1)
        return cls(
            name or spelling,
            match["loop"],
            is_step,
            True if match["jit"] else jit_compile,
            int(match["steps"]) if match["steps"] else steps_per_execution,
        )

    @classmethod
    def _spread(cls, match: re.Match[str], name: str, steps_per_execution: int | None) -> "Row":
        loop, strategy = match["loop"], match["strategy"]
        steps = int(match["steps"]) if match["steps"] else steps_per_execution
        if loop not in ("fit", "graph") or match["jit"]:
            raise ValueError(
                f"expected fit or graph without +jit before +{strategy}; received {match.string!r}"
            )
        if (loop, strategy) == ("fit", "multiworker"):
            if steps not in (None, 1):
                raise ValueError(
                    f"expected 1 step an execution of fit+multiworker; received {match.string!r}"
                )
            steps = 1
        return cls(name, loop, False, False, steps, strategy, int(match["replicas"]))

    def compile(self, model: "keras.Model") -> "keras.Model":
        """Return `model`, its compilation set as the row says."""
        if self.jit_compile is not None:
            model.jit_compile = self.jit_compile
        if self.steps_per_execution is not None:
            model.steps_per_execution = self.steps_per_execution
        return model

    @contextlib.contextmanager
    def running(self, start: "Start", epochs: int) -> "Iterator[Loop]":
        """Within the context, the loop can be called; once, where it has other workers.

        To be called before TensorFlow is used in this process.

        Args:
            start: what the other workers train, and on what.
            epochs: that they train.

        Raises:
            ValueError: what it names is not there.
        """
        from kerasmlp.distribute import distribution
        from kerasmlp.loops import traced

        loop = self.loop
        if not isinstance(loop, str) or loop not in BUILT_IN:
            loop = imported(loop) if isinstance(loop, str) else loop
            yield traced(loop) if self.is_step else loop
        elif self.strategy == "multiworker":
            addresses = free_addresses(self.replicas)
            with contextlib.ExitStack() as others:
                for worker in range(1, self.replicas):
                    others.enter_context(
                        Process(
                            "kerasmlp.comparison.row:_follow", start, self, epochs, addresses, worker
                        )
                    )
                os.environ["TF_CONFIG"] = tf_config(addresses, 0)
                yield distribution("multiworker").loop(loop)
        else:
            yield distribution(self.strategy, self.replicas).loop(loop)


def _follow(
    talk: Talk, start: "Start", row: Row, epochs: int, addresses: list[str], worker: int
) -> None:
    """Train as a worker beside that of the row, which says what with."""
    from kerasmlp.data import Batches
    from kerasmlp.distribute import distribution

    os.environ["TF_CONFIG"] = tf_config(addresses, worker)
    spread_over = distribution("multiworker")
    train = Batches(*start.train, start.batch_size, start.seed)
    spread_over.loop(str(row.loop))(start.model(row), train, None, epochs, [])
