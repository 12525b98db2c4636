"""What a run trains: its examples, and how many steps an execution has."""

import keras
import numpy as np
import pytest

from helpers import compiled
from kerasmlp.data import AnyArrays, Augmentation, MNISTLoader
from kerasmlp.runs import task
from kerasmlp.runs.settings import Settings
from small_models import dense


@pytest.fixture
def prepared(npz, monkeypatch):
    """Returns the task of some settings; the model of the user is `model`, if there is one."""

    def prepared(model=None, source=None, **given):
        monkeypatch.setattr(task, "new_model", lambda name: model)
        own = {"hidden_units": 8} if model is None else {"model": "mine:make"}
        settings = Settings(**{"batch_size": 5, "validation_size": 15, **own, **given})
        return task.prepare(settings, source or MNISTLoader(str(npz)))

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
    assert found.validates_average
    none = prepared(validation_size=0)
    assert (none.validation, none.shown, none.validation_examples) == (None, None, 0)
    assert len(none.sample) == 40


def test_of_many_examples_the_first_are_shown(prepared, tmp_path):
    x, y = np.arange(3102, dtype=np.float32).reshape(-1, 1), np.zeros(3102, np.int32)
    np.savez(tmp_path / "x.npz", x_train=x, y_train=y, x_test=x[:7], y_test=y[:7])
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse", jit_compile=False)
    data = AnyArrays.read(tmp_path / "x.npz")
    found = prepared(model, data, validation_size=2002)
    assert np.array_equal(found.sample.x, x[:1000])
    assert np.array_equal(found.shown.x, x[1100:3100])
    assert np.array_equal(found.test.x, x[:7])
    assert (found.batches.examples, found.validation_examples) == (1100, 2002)
    assert (found.data, found.fingerprint) == (data.name, data.fingerprint)


def test_the_batches_and_the_model_are_as_the_settings_say(prepared):
    asked = {"learning_rate": 0.25, "weight_decay": 0.125, "ema_momentum": 0.75, "hidden_units": (4, 5)}
    asked |= {"affine": 0.1, "translation": 2, "elastic": 0.5, "sampling": "replacement", "seed": 7}
    found = prepared(**asked, jit_compile=False)
    batches, model = found.batches, found.model
    assert (batches.seed, batches.sampling, batches.batch_size) == (7, "replacement", 5)
    assert batches.augment == Augmentation(0.1, 2.0, 0.5)
    optimizer = model.optimizer
    assert float(optimizer.learning_rate) == 0.25
    assert (optimizer.weight_decay, optimizer.ema_momentum, optimizer.use_ema) == (0.125, 0.75, True)
    assert [len(bias) for bias in model.get_weights()[1::2]] == [4, 5, 3]
    assert not model.jit_compile
    plain = prepared()
    assert plain.batches.augment is None
    assert (plain.model.optimizer.weight_decay, plain.model.optimizer.use_ema) == (None, False)
    assert plain.model.jit_compile
    assert prepared(elastic=0.5).batches.augment == Augmentation(0, 0, 0.5)


def test_the_weights_depend_on_the_seed(prepared):
    first, other, same = (prepared(seed=seed).model.get_weights()[0] for seed in (0, 1, 0))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_quantization_is_of_so_many_bits(prepared):
    model = prepared(quantize="int4", jit_compile=False).model
    assert model.get_config()["quantize"] == "int4"


def test_arrays_without_a_model_are_refused(prepared, tmp_path, digits):
    images, labels = digits
    np.savez(tmp_path / "x.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    with pytest.raises(ValueError, match=r"^model: expected the model for these arrays; received None"):
        prepared(source=AnyArrays.read(tmp_path / "x.npz"))


def test_the_digest_is_of_what_is_trained_on_which_data(prepared, npz, tmp_path, digits):
    digest = prepared().digest
    written = {"name": "x", "logdir": tmp_path, "verbose": True, "profile": True, "summaries": ()}
    assert prepared(**written, checkpoint_every="5steps", data="mnist5k").digest == digest
    for other in ({"seed": 1}, {"epochs": 6}, {"learning_rate": 0.5}, {"sampling": "replacement"}):
        assert prepared(**other).digest != digest
    images, labels = digits
    np.savez(tmp_path / "x.npz", x_train=images + 1, y_train=labels, x_test=images, y_test=labels)
    assert prepared(source=MNISTLoader(str(tmp_path / "x.npz"))).digest != digest


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
    found = prepared(compiled(dense), source=AnyArrays.read(path))
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
