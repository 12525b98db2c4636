"""A wrong loop is called wrong, from which step, and why; a right one is not."""

import keras
import numpy as np
import pytest

import factories
import faults
from helpers import cases
from kerasmlp import loops
from kerasmlp.comparison import trajectory
from kerasmlp.comparison.verdict import judge
from kerasmlp.data.batches import Batches
from kerasmlp.models.mlp import compiled_mlp

EPOCH = 7  # steps: 200 examples by 32 leave a partial batch of 8


def followed(loop, factory, data, jit_compile=False, **options):
    """What a loop does beside a reference, both on a model of `factory`, over two epochs."""

    def make():
        keras.utils.set_random_seed(3)
        return factory(**options)

    model, reference = make(), make()
    model.jit_compile = jit_compile
    images, labels = data.train_data[:200], data.train_label[:200]
    train = Batches(images, labels, 32, seed=5)
    return trajectory.run(loop, model, reference, train, (images, labels), 2, None, [])


def assert_found(fault, factory, data):
    options = {
        "mixed": fault is faults.not_unscaled,
        "ema": fault is faults.ema_not_finalised,
    }
    found = followed(faults.as_loop(fault), factory, data, **options)
    outcome = judge("it", found, None)
    assert outcome.verdict == "diverges"
    assert faults.FAULTS[fault] in outcome.reason
    assert found.divergence.step == faults.first_wrong_step(fault, EPOCH)


TELLING = (faults.no_regularisation, faults.metrics_not_reset)


@pytest.mark.parametrize(
    "fault", cases(faults.FAULTS, default=TELLING), ids=lambda fault: fault.__name__
)
def test_a_fault_is_found_and_named(fault, mnist5k):
    assert_found(fault, factories.cnn, mnist5k)


@pytest.mark.mnist
@pytest.mark.thorough
@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_and_named_on_mnist(fault, mnist):
    assert_found(fault, factories.mlp, mnist)


@pytest.mark.parametrize("name", cases(faults.RIGHT, default=("halves",)))
def test_a_right_loop_is_not_called_wrong(name, mnist5k):
    # Batch normalisation and dropout make halves of a batch another computation.
    factory, options = (factories.mlp, {"dropout": False}) if name == "halves" else (factories.cnn, {})
    found = followed(faults.RIGHT[name], factory, mnist5k, **options)
    assert found.divergence is None
    assert found.share <= 1
    assert found.steps > 0


@pytest.mark.thorough
def test_the_loops_of_the_package_are_identical(mnist5k):
    first, second = (
        followed(loop, factories.mlp, mnist5k) for loop in (loops.LOOPS["fit"], loops.LOOPS["eager"])
    )
    assert judge("eager", second, first).verdict == "identical"
    assert first.steps == second.steps == 2 * EPOCH
    assert len(first.losses) == 2 * EPOCH
    assert first.losses == second.losses


@pytest.mark.thorough
def test_xla_is_equal_and_measured(mnist5k):
    # Without dropout: XLA draws other random numbers from the same seed.
    plain = followed(loops.LOOPS["graph"], factories.mlp, mnist5k, dropout=False)
    xla = followed(loops.LOOPS["graph"], factories.mlp, mnist5k, jit_compile=True, dropout=False)
    assert judge("xla", xla, plain).verdict == "equal"
    assert xla.measured > 0
    assert 0 < xla.share <= 1


def test_a_fault_that_begins_late_is_found_where_it_begins(mnist5k):
    class Late(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == 4:
                self.model.optimizer.learning_rate = 0.002

    def loop(model, train, validation, epochs, callbacks):
        return loops.LOOPS["graph"](model, train, validation, epochs, [*callbacks, Late()])

    found = followed(loop, factories.mlp, mnist5k)
    assert found.divergence.step == 5
    assert "another learning rate: 0.002, not 0.001" in found.divergence.cause


def test_a_step_that_updates_no_metric_is_an_error(mnist5k):
    with pytest.raises(ValueError, match="metric has not yet been built"):
        followed(loops.traced(faults.no_metrics), factories.mlp, mnist5k)


def test_too_few_epochs_are_noticed(mnist5k):
    found = followed(faults.one_epoch, factories.mlp, mnist5k)
    assert str(found.divergence).startswith(f"step {EPOCH + 1}: the loop ended after 7 of 14 steps")


def test_no_history_is_an_error(mnist5k):
    with pytest.raises(TypeError, match="metrics of each epoch"):
        followed(faults.returns_nothing, factories.mlp, mnist5k)


def test_predictions_are_those_of_the_trained_model(mnist5k):
    found = followed(loops.LOOPS["graph"], factories.mlp, mnist5k)
    assert found.predictions.shape == (200, 10)
    assert np.allclose(found.predictions.sum(axis=1), 1, atol=1e-5)


def test_what_xla_flushes_to_zero_is_rounding(mnist5k):
    """A moment that decays below the smallest normal number, 1.2e-38."""
    keras.utils.set_random_seed(3)
    model = compiled_mlp((28, 28, 1), 10, jit_compile=False, steps_per_execution=1)
    loops.build(model, Batches(mnist5k.train_data, mnist5k.train_label, 32))
    reference = trajectory.Reference(model, 32)
    batch = mnist5k.train_data[:32].astype("float32"), mnist5k.train_label[:32].astype("int64")
    before = trajectory.lockstep.state(model)
    expected, _ = reference.step(before, [batch])
    at = next(index for index, path in enumerate(reference.paths) if path.endswith("kernel_momentum"))
    received = [value.copy() for value in expected]
    blank = np.argwhere(expected[at] == 0)[0]
    received[at][tuple(blank)] = 1.3e-38
    assert reference.deviation(before, [batch], expected, received).share <= 1
    received[at][tuple(blank)] = 1e-30
    assert reference.deviation(before, [batch], expected, received).share > 1
