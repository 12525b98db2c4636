"""What a run trains: its examples, and how many steps an execution has."""

import numpy as np
import pytest

from helpers import compiled
from kerasmlp.data import AnyArrays, MNISTLoader
from kerasmlp.runs import task
from kerasmlp.runs.settings import Settings
from small_models import dense


@pytest.fixture
def prepared(npz, monkeypatch):
    """Returns the task of some settings; the model of the user is `model`, if there is one."""

    def prepared(model=None, data=None, **given):
        monkeypatch.setattr(task, "new_model", lambda name: model)
        own = {"hidden_units": 8} if model is None else {"model": "mine:make"}
        settings = Settings(batch_size=5, validation_size=15, **own, **given)
        return task.prepare(settings, data or MNISTLoader(str(npz)))

    return prepared


def test_all_examples_are_scaled_as_the_batches_are(prepared):
    found = prepared()
    sets = {"sample": found.sample, "shown": found.shown, "test": found.test}
    for name, examples in sets.items():
        ((x, _), *_) = examples.in_order()
        assert x.dtype == np.float32, name
        assert np.array_equal(x, examples.x.astype(np.float32) / np.float32(255)), name
    assert (len(found.sample), len(found.shown), len(found.test)) == (25, 15, 10)
    assert found.validation_examples == 15
    assert len(list(found.validation)) == 1


@pytest.mark.parametrize(
    "jit_compile, compiled_steps, asked, steps",
    [
        (False, 1, "auto", 1),
        (False, 4, "auto", 4),
        (False, 1, 3, 3),
        (True, 4, "auto", 4),
        (True, 1, 3, 3),
    ],
)
def test_a_model_of_the_user_keeps_its_steps_unless_others_are_asked_for(
    jit_compile, compiled_steps, asked, steps, prepared
):
    model = compiled(dense, jit_compile=jit_compile, steps_per_execution=compiled_steps)
    found = prepared(model, steps_per_execution=asked)
    assert (found.model.steps_per_execution, found.model.jit_compile) == (steps, jit_compile)
    assert not found.validates_average


def test_bytes_in_any_arrays_stay_as_they_are(prepared, tmp_path, digits):
    images, labels = digits
    path = tmp_path / "any.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:10], y_test=labels[:10])
    found = prepared(compiled(dense), data=AnyArrays.read(path))
    for batches in (found.batches.epoch(0), found.test.in_order(), found.sample.in_order()):
        assert next(iter(batches))[0].dtype == np.uint8


def test_a_cosine_schedule_ends_with_the_last_step(prepared):
    """Five batches an epoch, three epochs."""
    optimizer = prepared(schedule="cosine", epochs=3).model.optimizer
    optimizer.iterations.assign(15)
    assert float(optimizer.learning_rate) == pytest.approx(0, abs=1e-9)
    optimizer.iterations.assign(14)
    assert 0 < float(optimizer.learning_rate) < 1e-3
    optimizer = prepared().model.optimizer
    optimizer.iterations.assign(25)
    assert float(optimizer.learning_rate) == np.float32(1e-3)


@pytest.mark.parametrize("strategy, seconds", [("none", 3e-5), ("mirrored", 5e-3)])
def test_a_step_of_several_replicas_is_slower(strategy, seconds, prepared, monkeypatch):
    asked = []
    monkeypatch.setattr(task, "responsive_steps", lambda *given: asked.append(given) or 2)
    assert prepared(strategy=strategy).model.steps_per_execution == 2
    assert asked == [(323, 5, 36, 5, seconds)]


@pytest.mark.parametrize("of_model, asked", [(True, False), (False, True), (False, False)])
def test_xla_takes_both_the_model_and_the_settings(of_model, asked, prepared):
    assert not prepared(compiled(dense, jit_compile=of_model), jit_compile=asked).model.jit_compile


def test_xla_without_a_number_of_steps_takes_many(prepared):
    assert prepared(compiled(dense, jit_compile=True)).model.steps_per_execution == 5  # an epoch
