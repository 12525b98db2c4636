"""A row of a comparison, and how it is spelled on the command line."""

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
        loop: one of `BUILT_IN`, `package.module:name`, or the loop itself.
        is_step: whether `loop` is a train step, `(model, x, y) -> loss`, that runs under `tf.function`.
        jit_compile: whether XLA compiles the step. None keeps what the model was compiled with.
        steps_per_execution: steps in one call. None keeps what the model was compiled with.
        strategy: how a built-in loop is distributed: `none`, `mirrored` or `multiworker`.
        replicas: the number of logical CPUs (`mirrored`) or processes (`multiworker`).
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
            name: None for the spelling.
            is_step: whether the spelling names a train step.
            jit_compile: the value without `+jit`.
            steps_per_execution: the value without `@`.

        Raises:
            ValueError: the spelling is wrong, or the loop cannot be compiled or distributed like this.
        """
        match = _SPELLING.fullmatch(spelling)
        if match is None or (match["loop"] not in BUILT_IN and ":" not in match["loop"]):
            raise ValueError(
                f"expected {', '.join(BUILT_IN)} or package.module:name, optionally followed by +jit,"
                f" +mirroredN or +multiworkerN, and by @N, as in graph+jit@100; received {spelling!r}"
            )
        loop, strategy, jit = match["loop"], match["strategy"], match["jit"]
        steps = int(match["steps"]) if match["steps"] else steps_per_execution
        is_fit_on_workers = (loop, strategy) == ("fit", "multiworker")
        wrong = None
        if strategy and (loop not in ("fit", "graph") or jit):
            wrong = f"expected fit or graph, without +jit, before +{strategy}"
        elif is_fit_on_workers and steps not in (None, 1):
            wrong = "expected 1 step per execution for fit+multiworker"
        elif loop == "eager" and (jit or match["steps"]):
            wrong = "the eager loop compiles nothing: expected eager without +jit and @N"
        if wrong:
            raise ValueError(f"{wrong}; received {spelling!r}")
        jit_compile = bool(jit) or (False if strategy or loop == "eager" else jit_compile)
        steps = 1 if is_fit_on_workers or loop == "eager" else steps
        distribution = strategy or "none", int(match["replicas"] or 1)
        return cls(name or spelling, loop, is_step, jit_compile, steps, *distribution)

    def compile(self, model: "keras.Model") -> "keras.Model":
        """Set `jit_compile` and `steps_per_execution` of `model`, and return it."""
        if self.jit_compile is not None:
            model.jit_compile = self.jit_compile
        if self.steps_per_execution is not None:
            model.steps_per_execution = self.steps_per_execution
        return model
