import keras
import numpy as np
import pytest
from keras import layers

from helpers import assert_same, cases, compiled, state
from kerasmlp import loops
from kerasmlp.checkpoints.state import put_callbacks, put_variables, take
from kerasmlp.data.batches import Batches, in_order


def dense():
    return [layers.Flatten(), layers.Dense(8, activation="relu"), layers.Dense(3, "softmax")]


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


class Break(keras.callbacks.Callback):
    """Takes the state after a step of the second epoch, as a checkpoint does, and breaks off."""

    def __init__(self, batch, others):
        super().__init__()
        self.batch, self.others = batch, others

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, self.batch):
            self.taken = take(self.model, self.others)
            raise CrashError


class PutBack(keras.callbacks.Callback):
    def __init__(self, taken, others):
        super().__init__()
        self.taken, self.others = taken, others

    def on_train_begin(self, logs=None):
        put_callbacks(self.others, *self.taken)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            put_variables(self.model, self.taken[0], "metrics")


def watching():
    return [
        keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=1.0),
        keras.callbacks.History(),
    ]


def train(loop, model, digits, callbacks, **options):
    images, labels = digits
    validation = in_order(images[:11], labels[:11], batch_size=4)
    return loop(model, Batches(images, labels, 7, seed=5), validation, 4, callbacks, **options)


BY = {
    "plain": (loops.LOOPS["fit"], loops.LOOPS["fit"]),
    "seeds and moving means": (loops.LOOPS["graph"], loops.LOOPS["fit"]),
    "EMA": (loops.LOOPS["fit"], loops.LOOPS["fit"]),
    "gradient accumulation": (loops.LOOPS["fit"], loops.LOOPS["graph"]),
    "loss scale": (loops.LOOPS["graph"], loops.LOOPS["graph"]),
    "schedule": (loops.LOOPS["graph"], loops.LOOPS["fit"]),
}


@pytest.mark.parametrize("name", cases(BY, default=("seeds and moving means", "loss scale")))
def test_a_training_put_back_goes_on_as_if_it_had_not_been_broken_off(name, digits):
    """By another loop too, from within an epoch, with other steps an execution."""
    (begun, ended), (factory, options) = BY[name], MODELS[name]
    whole = compiled(factory, **options)
    if "schedule" in name:
        others = [[keras.callbacks.History()] for _ in range(3)]
    else:
        others = [watching() for _ in range(3)]
    expected = train(ended, whole, digits, others[0])

    broken = compiled(factory, steps_per_execution=2, **options)
    crash = Break(3, others[1])
    with pytest.raises(CrashError):
        train(begun, broken, digits, [*others[1], crash])

    resumed = compiled(factory, steps_per_execution=3, **options)
    loops.build(resumed, Batches(*digits, 7))
    put_variables(resumed, crash.taken[0], "model", "optimizer")
    received = train(
        ended, resumed, digits, [*others[2], PutBack(crash.taken, others[2])], initial_step=6 + 4
    )
    assert_same(state(resumed), state(whole))
    assert received == expected
    assert [vars(callback).get("wait") for callback in others[2]] == [
        vars(callback).get("wait") for callback in others[0]
    ]


def test_the_best_weights_of_early_stopping_come_back(digits):
    callbacks = watching()
    model = compiled(dense)
    train(loops.LOOPS["eager"], model, digits, callbacks)
    arrays, states = take(model, callbacks)
    others = watching()
    put_callbacks(others, arrays, states)
    assert others[0].best == callbacks[0].best
    assert_same(others[0].best_weights, callbacks[0].best_weights)


def test_another_model_or_other_callbacks_are_refused(digits):
    model = compiled(dense)
    loops.build(model, Batches(*digits, 7))
    before = state(model)
    arrays, _ = take(model, [])
    wider = compiled(lambda: [layers.Flatten(), layers.Dense(9), layers.Dense(3, "softmax")])
    with pytest.raises(ValueError, match=r"expected .*kernel as float32 of shape \[36, 9\]; received"):
        put_variables(wider, arrays, "model")
    deeper = compiled(lambda: [*dense(), layers.Dense(3)])
    with pytest.raises(ValueError, match="expected 6 variables of its model; received 4"):
        put_variables(deeper, arrays, "model")
    with pytest.raises(ValueError, match="other callbacks"):
        put_callbacks([keras.callbacks.History()], arrays, [{"wait": 1}])
    assert_same(state(model), before)


def test_a_callback_names_its_own_state():
    class Mine(keras.callbacks.Callback):
        checkpointed = ("counts", "mean", "unset")

        def __init__(self):
            super().__init__()
            self.counts, self.mean, self.unset = {"a": [1, 2.5]}, np.float32(1.5), None

    model = compiled(dense)
    arrays, states = take(model, [Mine()])
    other = Mine()
    other.counts, other.mean, other.unset = {}, 0, 3
    put_callbacks([other], arrays, states)
    assert (other.counts, other.mean, other.unset) == ({"a": [1, 2.5]}, np.float32(1.5), None)
    other.counts = object()
    with pytest.raises(TypeError, match="expected numbers and arrays, to be checkpointed"):
        take(model, [other])
