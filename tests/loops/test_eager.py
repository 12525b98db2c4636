"""The eager loop."""

from helpers import compiled, run
from small_models import dense


def test_eager_runs_the_step_for_each_batch(digits):
    calls = []
    model = compiled(dense)
    compute_loss = model.compute_loss
    model.compute_loss = lambda *batch, **options: calls.append(1) or compute_loss(*batch, **options)
    run("eager", model, digits, epochs=2, validation=False)
    assert len(calls) == 12
