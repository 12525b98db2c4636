import keras
import numpy as np
import pytest
from keras import layers

from helpers import assert_same, compiled, state, validation_batches
from kerasmlp import loops
from kerasmlp.checkpoints import files
from kerasmlp.checkpoints.state import capture, put_callbacks, put_variables
from kerasmlp.data import Batches
from small_models import dense


def with_state():
    return [
        layers.Flatten(),
        layers.Dense(8),
        layers.BatchNormalization(),
        layers.Dropout(0.5, seed=1),
        layers.Dense(3, "softmax", dtype="float32"),
    ]


MODELS = {
    "plain": (dense, {}),
    "seeds and moving means": (with_state, {}),
    "EMA": (
        dense,
        {"optimizer": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=4)},
    ),
    "gradient accumulation": (
        dense,
        {"optimizer": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=3)},
    ),
    "loss scale": (
        with_state,
        {
            "dtype": "mixed_float16",
            "optimizer": lambda: keras.optimizers.LossScaleOptimizer(
                keras.optimizers.SGD(0.1), initial_scale=2.0**40, dynamic_growth_steps=3
            ),
        },
    ),
    "schedule": (
        dense,
        {
            "optimizer": lambda: keras.optimizers.Adam(
                keras.optimizers.schedules.CosineDecay(0.05, 12), clipnorm=1.0
            )
        },
    ),
}


class CrashError(Exception):
    pass


class Crash(keras.callbacks.Callback):
    """Captures the state after a batch of the second epoch, as a checkpoint does, and then raises."""

    def __init__(self, batch, others):
        super().__init__()
        self.batch, self.others = batch, others

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, self.batch):
            self.captured = capture(self.model, self.others)
            raise CrashError


class Restore(keras.callbacks.Callback):
    """Puts a captured state back into the callbacks and the metrics, as a checkpoint does."""

    def __init__(self, captured, others):
        super().__init__()
        self.captured, self.others = captured, others

    def on_train_begin(self, logs=None):
        put_callbacks(self.others, *self.captured)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            put_variables(self.model, self.captured[0], "metrics")


def keras_callbacks():
    return [
        keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=1.0),
        keras.callbacks.History(),
    ]


def train(loop, model, digits, callbacks, **options):
    images, labels = digits
    return loop(
        model, Batches(images, labels, 7, seed=5), validation_batches(digits), 4, callbacks, **options
    )


LOOP_PAIRS = {
    "plain": (loops.LOOPS["fit"], loops.LOOPS["fit"]),
    "seeds and moving means": (loops.LOOPS["graph"], loops.LOOPS["fit"]),
    "EMA": (loops.LOOPS["fit"], loops.LOOPS["fit"]),
    "gradient accumulation": (loops.LOOPS["fit"], loops.LOOPS["graph"]),
    "loss scale": (loops.LOOPS["graph"], loops.LOOPS["fit"]),
    "schedule": (loops.LOOPS["graph"], loops.LOOPS["fit"]),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", LOOP_PAIRS)
def test_a_resumed_training_is_identical_to_an_uninterrupted_one(name, digits):
    """It resumes within an epoch, with another loop and another `steps_per_execution`.

    That with a loss scale has seeds and moving means too.
    """
    (first_loop, second_loop), (factory, options) = LOOP_PAIRS[name], MODELS[name]
    uninterrupted = compiled(factory, **options)
    if "schedule" in name:
        others = [[keras.callbacks.History()] for _ in range(3)]
    else:
        others = [keras_callbacks() for _ in range(3)]
    expected = train(second_loop, uninterrupted, digits, others[0])

    crashed = compiled(factory, steps_per_execution=2, **options)
    crash = Crash(3, others[1])
    with pytest.raises(CrashError):
        train(first_loop, crashed, digits, [*others[1], crash])

    resumed = compiled(factory, steps_per_execution=3, **options)
    loops.build(resumed, Batches(*digits, 7))
    put_variables(resumed, crash.captured[0], "model", "optimizer")
    callbacks = [*others[2], Restore(crash.captured, others[2])]
    received = train(second_loop, resumed, digits, callbacks, initial_step=6 + 4)
    assert_same(state(resumed), state(uninterrupted))
    assert received == expected
    waits = [[vars(callback).get("wait") for callback in callbacks] for callbacks in others]
    assert waits[2] == waits[0]


def test_the_best_weights_of_early_stopping_are_restored(digits):
    callbacks = keras_callbacks()
    model = compiled(dense)
    train(loops.LOOPS["eager"], model, digits, callbacks)
    arrays, states = capture(model, callbacks)
    others = keras_callbacks()
    put_callbacks(others, arrays, states)
    assert others[0].best == callbacks[0].best
    assert_same(others[0].best_weights, callbacks[0].best_weights)


def test_the_state_of_another_model_or_other_callbacks_is_refused(digits):
    model = compiled(dense)
    loops.build(model, Batches(*digits, 7))
    before = state(model)
    arrays, _ = capture(model, [])
    wider = compiled(lambda: [layers.Flatten(), layers.Dense(9), layers.Dense(3, "softmax")])
    with pytest.raises(
        ValueError,
        match=r"expected float32 of shape \[36, 8\].*received .*kernel, float32 of shape \[36, 9\]",
    ):
        put_variables(wider, arrays, "model")
    deeper = compiled(lambda: [*dense(), layers.Dense(3)])
    with pytest.raises(ValueError, match="expected 4 model variables, as in its checkpoint; received 6"):
        put_variables(deeper, arrays, "model")
    with pytest.raises(ValueError, match=r"expected, .* Mine\(wait\); received History\(epoch, hist"):
        put_callbacks([keras.callbacks.History()], arrays, [["Mine", {"wait": 1}]])
    assert_same(state(model), before)


def test_a_callback_can_name_its_own_state():
    class Mine(keras.callbacks.Callback):
        checkpointed = ("counts", "mean", "unset")

        def __init__(self):
            super().__init__()
            self.counts, self.mean, self.unset = {"a": [1, 2.5]}, np.float32(1.5), None

    model = compiled(dense)
    arrays, states = capture(model, [Mine()])
    other = Mine()
    other.counts, other.mean, other.unset = {}, 0, 3
    put_callbacks([other], arrays, states)
    assert (other.counts, other.mean, other.unset) == ({"a": [1, 2.5]}, np.float32(1.5), None)
    other.counts = object()
    with pytest.raises(TypeError, match=r"expected None, a number, .* received <object"):
        capture(model, [other])


def test_bfloat16_is_restored_bit_for_bit(tmp_path):
    def bfloat16_model():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, dtype="bfloat16")])
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
        return model

    first, second = bfloat16_model(), bfloat16_model()
    files.write(tmp_path / "step-1.npz", files.Contents(capture(first, [])[0], {}))
    put_variables(second, files.read(tmp_path / "step-1.npz").arrays, "model", "optimizer")
    kernels = [model.layers[0].kernel.numpy() for model in (first, second)]
    assert kernels[0].dtype.name == "bfloat16"
    assert kernels[0].tobytes() == kernels[1].tobytes()
