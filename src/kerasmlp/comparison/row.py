"""A row of a comparison: a loop, and how it is compiled and distributed."""

import dataclasses
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

    from kerasmlp.loops import Loop

BUILT_IN = ("fit", "graph", "eager")
_SPELLING = re.compile(
    r"(?P<loop>[\w.:]+)(?P<jit>\+jit)?(\+(?P<strategy>mirrored|multiworker)(?P<replicas>[1-9]\d?))?"
    r"(@(?P<steps>[1-9]\d{0,5}))?"
)


@dataclasses.dataclass(frozen=True)
class Row:
    """A loop, and how it is compiled and distributed.

    Attributes:
        name: the name in the tables.
        loop: one of `BUILT_IN`, `package.module:name`, or the loop itself.
        is_step: whether `loop` is a train step, `(model, x, y) -> loss`, that runs under `tf.function`.
        jit_compile: whether XLA compiles the step. None keeps what the model was compiled with.
        steps_per_execution: steps in one call. None keeps what the model was compiled with.
        strategy: how a built-in loop is distributed: `none`, `mirrored` or `multiworker`.
        replicas: the number of logical CPUs (`mirrored`) or of processes on this machine
            (`multiworker`).
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
        """Return the row of a spelling such as `graph+jit@100`, `fit+mirrored2` or `mine.loops:best`.

        Args:
            spelling: a built-in loop or `package.module:name`; then `+jit`, or `+mirroredN` or
                `+multiworkerN`; then `@N` for N steps per execution.
            name: the name in the tables. None for the spelling.
            is_step: whether the name is that of a train step.
            jit_compile: the value for a spelling without `+jit`.
            steps_per_execution: the value for a spelling without `@`.

        Raises:
            ValueError: the spelling is wrong, or the loop cannot be compiled or distributed like this.
        """
        match = _SPELLING.fullmatch(spelling)
        if match is None or (match["loop"] not in BUILT_IN and ":" not in match["loop"]):
            raise ValueError(
                f"expected {', '.join(BUILT_IN)} or package.module:name, optionally followed by +jit,"
                f" +mirroredN or +multiworkerN, and by @N, as in graph+jit@100; received {spelling!r}"
            )
        if match["strategy"]:
            return cls._distributed(match, name or spelling, steps_per_execution)
        if match["loop"] == "eager":
            if match["jit"] or match["steps"]:
                raise ValueError(
                    "the eager loop compiles nothing: expected eager without +jit and @N;"
                    f" received {spelling!r}"
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
    def _distributed(cls, match: re.Match[str], name: str, steps_per_execution: int | None) -> "Row":
        loop, strategy = match["loop"], match["strategy"]
        steps = int(match["steps"]) if match["steps"] else steps_per_execution
        if loop not in ("fit", "graph") or match["jit"]:
            raise ValueError(
                f"expected fit or graph, without +jit, before +{strategy}; received {match.string!r}"
            )
        if (loop, strategy) == ("fit", "multiworker"):
            if steps not in (None, 1):
                raise ValueError(
                    f"expected 1 step per execution for fit+multiworker; received {match.string!r}"
                )
            steps = 1
        return cls(name, loop, False, False, steps, strategy, int(match["replicas"]))

    def compile(self, model: "keras.Model") -> "keras.Model":
        """Set `jit_compile` and `steps_per_execution` of `model` to those of the row. Return `model`."""
        if self.jit_compile is not None:
            model.jit_compile = self.jit_compile
        if self.steps_per_execution is not None:
            model.steps_per_execution = self.steps_per_execution
        return model
