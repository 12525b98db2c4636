"""Whether the truth can be had: a step that draws outside Keras' seeds differs from itself."""

from collections.abc import Iterator
from typing import Any

from kerasmlp.comparison.reference import Batch, Reference
from kerasmlp.comparison.verdict import State, same

_DRAWS = ("Random", "Rng", "Multinomial", "TruncatedNormal", "PyFunc")
"""Parts of the names of TensorFlow's operations that may draw."""


def draws_outside_seeds(reference: Reference, before: State, batch: Batch) -> str | None:
    """Return why the right step is not known, and what to write; None if it is.

    The reference takes its step twice from one state. If it ends in two states, and its graph has an
    operation that draws and keeps a state of its own, that operation is named.
    """
    drawing = list(_stateful_draws(reference.train_step.get_concrete_function(batch).graph))
    if not drawing or same(reference.train(before, [batch]), reference.train(before, [batch])):
        return None
    return (
        f"the step draws random numbers outside Keras' seeds ({', '.join(drawing[:3])}), so it differs"
        " from itself each time. Draw with keras.random and a seed of the model:"
        " self.seed_generator = keras.random.SeedGenerator(0);"
        " keras.random.normal(shape, seed=self.seed_generator)"
    )


def _stateful_draws(graph: Any) -> Iterator[str]:
    """Yield the operations, of a graph and of the functions that it calls, that may draw."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(node for each in definition.library.function for node in each.node_def)]
    for node in nodes:
        is_stateless = node.op.startswith("Stateless")
        if not is_stateless and any(draw in node.op for draw in _DRAWS):
            yield f"{node.op} in {node.name}"
