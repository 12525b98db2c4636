import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from helpers import assert_same, cases, compiled
from kerasmlp import keras_internals
from kerasmlp.data.examples import Examples


def dropout():
    return [
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(3, kernel_regularizer="l2"),
        layers.Softmax(),
    ]


@pytest.fixture
def model():
    return compiled(dropout)


def state(model):
    """Copies of all variables of a model: weights, statistics, seeds, optimizer, metrics."""
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [np.array(variable.numpy()) for variable in variables]


def test_predictions_are_those_of_the_model(model, digits):
    images, labels = digits
    found = Examples(images, labels, are_images=True, batch_size=16).predictions(model)
    assert found == pytest.approx(model.predict(images / np.float32(255), verbose=0), rel=1e-5)
    assert len(found) == len(images)


@pytest.mark.parametrize("batch_size", [1000, 16], ids=["at once", "in batches"])
def test_loss_metrics_and_gradients_are_those_of_the_evaluated_model(model, digits, batch_size):
    images, labels = digits
    x = images / np.float32(255)
    model.fit(x, labels, verbose=0)
    evaluated = model.evaluate(x, labels, batch_size=40, return_dict=True, verbose=0)
    examples = Examples(images, labels, are_images=True, batch_size=batch_size)
    loss, (kernel, bias) = examples.gradients(model)
    assert loss == pytest.approx(evaluated["loss"], rel=1e-5)
    assert examples.metrics(model) == pytest.approx(evaluated, rel=1e-5)
    # The gradients of softmax with cross-entropy.
    error = model.predict(x, verbose=0) - np.eye(3)[labels]
    assert bias == pytest.approx(error.mean(axis=0), abs=1e-6)
    penalty = 2 * 0.01 * model.get_weights()[0]
    assert kernel == pytest.approx(x.reshape(40, -1).T @ error / 40 + penalty, abs=1e-6)


class TrainsByDefault(keras.Model):
    def call(self, x, training=True):
        return x + 1 if training else x


class IsOne(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize("kind", [TrainsByDefault, IsOne])
def test_a_model_is_called_as_in_an_evaluation(kind):
    x = np.arange(10, dtype=np.float32).reshape(5, 2)
    assert np.array_equal(Examples(x, batch_size=2).predictions(kind()), x)


@pytest.mark.parametrize("batch_size, size", [(5, 40), (3, 48)])
def test_predictions_are_limited_in_bytes(batch_size, size):
    """Each row of five has 8 bytes. The last batch counts as if it were full."""
    examples = Examples(np.ones((5, 2), np.float32), batch_size=batch_size)
    with pytest.raises(MemoryError, match=f"expected predictions of at most {size - 1} bytes"):
        examples.predictions(IsOne(), size - 1)
    assert np.array_equal(examples.predictions(IsOne(), size), np.ones((5, 2)))


def test_results_are_computed_again_only_at_another_step(model, digits):
    examples = Examples(*digits, are_images=True)
    before = examples.predictions(model), examples.gradients(model)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    assert examples.predictions(model) is before[0]
    assert examples.gradients(model) is before[1]
    examples.at(1)
    assert examples.gradients(model)[0] != before[1][0]
    assert not np.array_equal(examples.predictions(model), before[0])


def test_an_unused_variable_has_a_gradient_of_zero(digits):
    @keras.saving.register_keras_serializable(package="test")
    class Idle(layers.Layer):
        def build(self, shape):
            self.unused = self.add_weight(shape=(2,), name="unused")

        def call(self, x):
            return x

    model = compiled(lambda: [layers.Flatten(), Idle(), layers.Dense(3), layers.Softmax()])
    gradients = Examples(*digits, are_images=True).gradients(model)[1]
    assert gradients[0].tolist() == [0, 0]
    assert gradients[1].any()


RANDOM = np.random.default_rng(11)


def normalised_images():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=False)
    return model, RANDOM.random((40, 6, 6, 3), np.float32), RANDOM.integers(3, size=40), None


def masked_tokens():
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            layers.Embedding(20, 4, mask_zero=True),
            layers.SimpleRNN(3, unroll=True),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    metrics = ["accuracy", keras.metrics.AUC()]
    model.compile("adam", "binary_crossentropy", metrics=metrics, jit_compile=False)
    tokens = RANDOM.integers(20, size=(40, 5)).astype(np.int32)
    tokens[:, 0] = np.maximum(tokens[:, 0], 1)
    return model, tokens, RANDOM.integers(2, size=(40, 1)), RANDOM.random(40, np.float32)


def two_of_each():
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
    joined = layers.Concatenate()([layers.Dense(3, activation="tanh")(a), b])
    outputs = {"c": layers.Dense(1, name="c")(joined), "d": layers.Dense(3, name="d")(joined)}
    model = keras.Model({"a": a, "b": b}, outputs)
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        "adam",
        {"c": "mse", "d": logits},
        {"c": 1.0, "d": 0.3},
        metrics={"c": ["mae"], "d": ["accuracy"]},
    )
    x = {"a": RANDOM.random((40, 4), np.float32), "b": RANDOM.random((40, 2), np.float32)}
    y = {"c": RANDOM.random((40, 1), np.float32), "d": RANDOM.integers(3, size=40)}
    return model, x, y, {name: RANDOM.random(40, np.float32) for name in "cd"}


def regression():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="tanh"), layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    return model, RANDOM.random((40, 4), np.float32), RANDOM.random(40, np.float32), None


class Penalised(keras.Model):
    """Random in evaluation too; its loss adds up what layers add, and takes no `training`."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(4, kernel_regularizer="l2")
        self.active = layers.ActivityRegularization(l2=0.1)
        self.seeds = keras.random.SeedGenerator(3)

    def call(self, x):
        noise = keras.random.normal(keras.ops.shape(x), seed=self.seeds)
        return self.active(self.dense(x + noise))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return keras.ops.mean((y_pred - x) ** 2) + keras.ops.sum(self.losses)


def inputs_alone():
    model = Penalised()
    model.compile("adam")
    return model, RANDOM.random((40, 4), np.float32), None, None


class Eager(keras.Model):
    """Cannot be traced."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x) * float(np.asarray(x).max())


def eager():
    model = Eager()
    model.compile("adam", "mse", metrics=["mae"], run_eagerly=True)
    return model, RANDOM.random((40, 4), np.float32), RANDOM.random((40, 1), np.float32), None


KINDS = [normalised_images, masked_tokens, two_of_each, regression, inputs_alone, eager]


@pytest.mark.parametrize("kind", cases(KINDS, default=KINDS[4:5]))
def test_any_model_has_its_metrics_and_the_gradients_of_a_tape_and_stays_as_it_is(kind):
    keras.utils.set_random_seed(3)
    model, x, y, weights = kind()
    model.fit(x, y, sample_weight=weights, verbose=0)
    before = state(model)
    examples = Examples(x, y, weights)
    loss, gradients = examples.gradients(model)
    metrics, predictions = examples.metrics(model), examples.predictions(model)
    assert_same(state(model), before)

    with tf.GradientTape() as tape:
        as_tensors = tf.nest.map_structure(lambda part: part if part is None else tf.constant(part), y)
        y_pred = model(x, training=False)
        expected = keras_internals.loss(model, x, as_tensors, y_pred, weights, training=False)
    of_tape = tape.gradient(expected, [variable.value for variable in model.trainable_variables])
    assert loss == pytest.approx(float(expected), rel=1e-5)
    for gradient, variable, other in zip(gradients, model.trainable_variables, of_tape, strict=True):
        assert gradient.shape == variable.shape
        assert gradient == pytest.approx(tf.convert_to_tensor(other).numpy(), rel=1e-4, abs=1e-6)
    tf.nest.map_structure(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6),
        predictions,
        y_pred,
    )
    for variable, value in zip(model.variables, before, strict=False):
        variable.assign(value)  # the seeds as they were
    evaluated = model.evaluate(x, y, sample_weight=weights, batch_size=40, return_dict=True, verbose=0)
    assert metrics == pytest.approx(evaluated, rel=1e-5)


def test_the_first_batches_of_a_dataset_become_arrays():
    x, y = {"a": np.arange(10.0).reshape(10, 1)}, np.arange(10)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    examples = Examples.of(dataset, 6)
    assert np.array_equal(examples.x["a"], x["a"][:6])
    assert np.array_equal(examples.y, y[:6])
    assert examples.sample_weight is None
    assert (len(examples), examples.batch_size, len(Examples.of(dataset, 99))) == (6, 4, 10)
    assert np.array_equal(next(iter(Examples.of(dataset, 6).in_order()))[1], y[:4])


@pytest.mark.parametrize(
    "count, left, size",
    [(1, 2, 1), (2, 1, 3), (5, 1, 3), (6, 0, 3), (9, 0, 3), (10, 0, 3)],
)
def test_only_as_many_batches_are_read_as_are_needed(count, left, size):
    batches = iter([tf.constant(part) for part in ([0], [1, 2, 3, 4], [5, 6, 7, 8])])
    examples = Examples.of(batches, count)
    assert np.array_equal(examples.x, np.arange(min(count, 9)))
    assert examples.batch_size == size
    assert len(list(batches)) == left


def test_the_first_examples_are_of_the_same_kind(digits):
    images, labels = digits
    examples = Examples(images, labels, np.arange(40), are_images=True, batch_size=3)
    first = examples.first(4)
    assert (len(first), first.are_images, first.batch_size) == (4, True, 3)
    assert np.array_equal(first.sample_weight, np.arange(4))
    assert [len(y) for _, y, _ in first.in_order()] == [3, 1]
    assert len(Examples([images, None], labels).first(7).x[0]) == 7


def test_a_dataset_without_a_batch_is_an_error():
    with pytest.raises(ValueError, match="expected at least one batch; received none"):
        Examples.of(tf.data.Dataset.range(0).batch(2), 5)


def lengths_differ():
    tokens = tf.ragged.constant([[1, 2], [3, 4], [5, 6, 7], [8, 9, 10]])
    return tf.data.Dataset.from_tensor_slices((tokens, [0.0, 1, 2, 3])).batch(2)


def padded():
    return lengths_differ().map(lambda x, y: (x.to_tensor(), y))


@pytest.mark.parametrize("dataset", [lengths_differ, padded])
def test_batches_that_cannot_be_joined_stay_batches(dataset):
    model = keras.Sequential([layers.Embedding(20, 4), layers.GlobalAveragePooling1D(), layers.Dense(1)])
    model.compile("adam", "mse", jit_compile=False)
    model.fit(padded(), shuffle=False, verbose=0)
    examples = Examples.of(dataset(), 3)
    assert examples.x is None
    assert len(examples.first(1)) == 2
    assert [y.numpy().tolist() for _, y in examples.in_order()] == [[0, 1], [2, 3]]
    if dataset is padded:
        evaluated = model.evaluate(padded(), return_dict=True, verbose=0)
        loss, gradients = examples.gradients(model)
        assert loss == pytest.approx(evaluated["loss"])
        assert examples.metrics(model) == pytest.approx(evaluated)
        errors = model.predict(padded(), verbose=0)[:, 0] - np.arange(4)
        assert gradients[-1] == pytest.approx(2 * errors.mean(), rel=1e-5)
