"""The graph loop."""

import pytest

from helpers import compiled, run
from small_models import dense


@pytest.mark.parametrize("steps_per_execution", [1, 4])
def test_graph_traces_once_in_a_run(steps_per_execution, digits):
    traces = []
    model = compiled(dense, steps_per_execution=steps_per_execution)
    compute_loss = model.compute_loss
    model.compute_loss = lambda *batch, **options: traces.append(1) or compute_loss(*batch, **options)
    run("graph", model, digits, epochs=3, validation=False)
    assert len(traces) == 1
