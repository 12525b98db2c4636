"""All dashboards, of models of all kinds."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.metrics import confusion_matrix

from helpers import events, image
from kerasmlp.callbacks.losses import BatchLosses
from kerasmlp.callbacks.stopwatch import Stopwatch
from kerasmlp.data.batches import Batches
from kerasmlp.data.dataset_batches import DatasetBatches
from kerasmlp.data.examples import Examples
from kerasmlp.loops.builtin import LOOPS
from kerasmlp.tensorboard import pictures
from kerasmlp.tensorboard.dashboards import all_dashboards
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.histograms import histogram
from kerasmlp.tensorboard.tags import about

RANDOM = np.random.default_rng(5)
SCALARS = {"loss/running", "optimizer/learning_rate", "norms/gradients", "graph", "loss/evaluation"}
SCALARS |= {"speed/examples_per_second", "speed/milliseconds_per_step"}


def train(model, folder, batches, sample, validation, epochs=2):
    """Train with all dashboards; return the events by sub-run and tag."""
    keras.utils.set_random_seed(3)
    files, stopwatch, batch_losses = Events(folder), Stopwatch(8), BatchLosses()
    inputs = keras.utils.unpack_x_y_sample_weight(batches.epoch(0).element_spec)[0]
    shown = all_dashboards(files, sample, validation, inputs, stopwatch, batch_losses)
    assert list(shown) == ["scalars", "graphs", "histograms", "images", "pr_curves"]
    heard = [stopwatch, batch_losses, *shown.values()]
    held_out = validation and validation.in_order()
    LOOPS["graph"](model, batches, held_out, epochs, heard)
    files.close()
    written = events(folder)
    assert all(about(tag) for _, tag in written if tag != "graph")
    return written


def train_on_arrays(model, folder, x, y=None, weights=None):
    """Train on the arrays, which are sample and validation too."""
    batches = Batches(x, y, 8, sample_weight=weights, are_images=False)
    examples = Examples(x, y, weights)
    return train(model, folder, batches, examples, examples)


def tags(written, sub_run):
    """The tags of a sub-run, without those of each weight array."""
    each = ("weights/", "weight_gradients/", "norms/weights/")
    return {tag for run, tag in written if run == sub_run and not tag.startswith(each)}


def of_metrics(*metrics, kind="evaluation"):
    return {f"{metric}/{kind}" for metric in metrics}


def assert_shows(written, model, evaluated):
    """Scalars and histograms of the last epoch are those of the model and its gradients."""
    last = int(model.optimizer.iterations)
    for name, value in evaluated.items():
        for sub_run in ("train", "validation"):
            shown = written[sub_run, f"{name}/evaluation"][last]
            assert shown == pytest.approx(value, rel=1e-4), (sub_run, name)
    paths = [variable.path.removeprefix(f"{model.name}/") for variable in model.trainable_variables]
    for path, variable in zip(paths, model.trainable_variables, strict=True):
        for kind in ("weights", "weight_gradients"):
            buckets = written["train", f"{kind}/{path}"][last]
            assert buckets[:, 2].sum() == variable.numpy().size
    norms = [written["train", f"norms/weights/{path}"][last] for path in paths]
    assert norms == pytest.approx([np.linalg.norm(variable) for variable in model.trainable_variables])


def test_a_convolutional_classifier_with_batch_normalisation(tmp_path):
    x, y = RANDOM.random((24, 6, 6, 3), np.float32), RANDOM.integers(3, size=(24, 1))
    convolution = [layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(3)]
    model = keras.Sequential([keras.Input((6, 6, 3)), *convolution])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"], jit_compile=False)
    written = train_on_arrays(model, tmp_path, x, y)
    pictured = {"pictures/confusion", "pictures/mistakes", *(f"pr/{n}/pr_curves" for n in range(3))}
    metrics = of_metrics("loss", "accuracy")
    assert tags(written, "validation") == metrics | pictured
    running = of_metrics("loss", "accuracy", kind="running")
    assert tags(written, "train") == SCALARS | metrics | running | {"pictures/samples"}
    assert_shows(written, model, model.evaluate(x, y, return_dict=True, verbose=0))
    probabilities = np.array(tf.nn.softmax(model.predict(x, verbose=0)))
    matrix = confusion_matrix(y, probabilities.argmax(axis=1), labels=range(3))
    confusion = image(written["validation", "pictures/confusion"][6])
    assert np.array_equal(confusion, pictures.confusion(matrix))
    shown = np.rint(x * 255).astype(np.uint8)
    mistakes = image(written["validation", "pictures/mistakes"][6])
    assert np.array_equal(mistakes, pictures.mistakes(shown, y[:, 0], probabilities))
    curve = written["validation", "pr/1/pr_curves"][6]
    expected = [((probabilities[:, 1] >= n / 200) & (y[:, 0] == 1)).sum() for n in range(201)]
    assert curve[0].tolist() == expected


def test_a_masked_binary_classifier_of_tokens(tmp_path):
    x, y = RANDOM.integers(9, size=(24, 5)), RANDOM.integers(2, size=(24, 1))
    recurrent = [layers.Embedding(9, 4, mask_zero=True), layers.LSTM(3), layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((5,), dtype="int64"), *recurrent])
    of_each_class = keras.metrics.F1Score(threshold=0.5)  # an array, which is not shown
    metrics = ["accuracy", of_each_class]
    model.compile("sgd", "binary_crossentropy", metrics=metrics, jit_compile=False)
    written = train_on_arrays(model, tmp_path, x, y)
    pictured = {"pictures/confusion", "pr/0/pr_curves", "pr/1/pr_curves"}
    metrics = of_metrics("loss", "accuracy")
    assert tags(written, "validation") == metrics | pictured
    assert not {tag for _, tag in written} & {"pictures/samples", "pictures/first_layer"}
    evaluated = model.evaluate(x, y, return_dict=True, verbose=0)
    assert evaluated.pop("f1_score").shape == (1,)
    assert_shows(written, model, evaluated)
    matrix = confusion_matrix(y, model.predict(x, verbose=0)[:, 0] > 0.5)
    confusion = image(written["validation", "pictures/confusion"][6])
    assert np.array_equal(confusion, pictures.confusion(matrix))


@pytest.mark.thorough
def test_a_regression_on_a_table(tmp_path):
    x, y = RANDOM.random((24, 4), np.float32), RANDOM.random(24, np.float32)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "tanh"), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    written = train_on_arrays(model, tmp_path, x, y)
    metrics = of_metrics("loss", "mae")
    assert tags(written, "validation") == metrics | {"pictures/predictions", "pictures/residuals"}
    assert_shows(written, model, model.evaluate(x, y, return_dict=True, verbose=0))
    predicted = model.predict(x, verbose=0)[:, 0]
    residuals = written["validation", "pictures/residuals"][6]
    expected = tf.make_ndarray(histogram("", predicted.astype(float) - y, "").value[0].tensor)
    assert residuals[:, 2].sum() == 24
    assert residuals == pytest.approx(expected, abs=1e-6)
    counts = np.histogram(predicted.astype(float) - y, len(residuals))[0]
    assert residuals[:, 2].tolist() == counts.tolist()
    picture = image(written["validation", "pictures/predictions"][6])
    assert np.array_equal(picture, pictures.predictions(y.astype(float), predicted.astype(float)))


def test_two_inputs_and_outputs_with_weights(tmp_path):
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
    joined = layers.Concatenate()([layers.Dense(3, "tanh")(a), b])
    outputs = {"c": layers.Dense(1, name="c")(joined), "d": layers.Dense(3, "softmax", name="d")(joined)}
    model = keras.Model({"a": a, "b": b}, outputs)
    losses = {"c": "mse", "d": "sparse_categorical_crossentropy"}
    metrics = {"c": ["mae"], "d": ["accuracy"]}
    model.compile("sgd", losses, metrics=metrics, jit_compile=False)
    x = {"a": RANDOM.random((24, 4), np.float32), "b": RANDOM.random((24, 2), np.float32)}
    y = {"c": RANDOM.random((24, 1), np.float32), "d": RANDOM.integers(3, size=24)}
    weights = {name: RANDOM.random(24, np.float32) for name in "cd"}
    written = train_on_arrays(model, tmp_path, x, y, weights)
    metrics = of_metrics("loss", "c_loss", "d_loss", "c_mae", "d_accuracy")
    assert tags(written, "validation") == metrics
    evaluated = model.evaluate(x, y, sample_weight=weights, batch_size=24, return_dict=True, verbose=0)
    assert_shows(written, model, evaluated)
    operations = {node.op for node in written["train", "graph"][0].node}
    assert {"MatMul", "ConcatV2", "Tanh"} <= operations


@pytest.mark.thorough
def test_a_dataset_of_batches_with_other_lengths_and_inputs_alone(tmp_path):
    class Sizes(keras.Model):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = layers.Embedding(9, 4), layers.Dense(1)

        def call(self, x):
            return self.head(self.embedding(x))

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return keras.ops.mean(y_pred**2)

    tokens = tf.ragged.constant([[1, 2], [3, 4], [5, 6, 7], [8, 0, 1]])
    dataset = tf.data.Dataset.from_tensor_slices(tokens).batch(2).map(lambda x: x.to_tensor())
    model = Sizes()
    model.compile("sgd", jit_compile=False)
    batches = DatasetBatches.of(dataset)
    examples = Examples.of(dataset, 4)
    written = train(model, tmp_path / "run", batches, examples, examples)
    assert tags(written, "validation") == {"loss/evaluation"}
    assert tags(written, "train") == SCALARS
    expected = np.mean([np.mean(model.predict(x, verbose=0) ** 2) for x in dataset])
    assert written["train", "loss/evaluation"][4] == pytest.approx(expected, rel=1e-5)


def test_what_a_model_cannot_give_is_left_out_and_noted_once(tmp_path, capsys):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1, name="only")
            self.mean = keras.metrics.Mean(name="loss")

        @property
        def metrics(self):
            return [self.mean]

        def call(self, x):
            raise NotImplementedError("only trained")

        def train_step(self, data):
            with tf.GradientTape() as tape:
                loss = keras.ops.mean(self.dense(data[0]) ** 2)
            weights = self.dense.trainable_variables
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            self.mean.update_state(loss)
            return {"loss": self.mean.result()}

    x = RANDOM.random((24, 4), np.float32)
    model = Own()
    model.compile("sgd")
    written = train(model, tmp_path, Batches(x, x, 8, are_images=False), Examples(x, x), None)
    assert tags(written, "train") == SCALARS - {"norms/gradients", "loss/evaluation"}
    assert written["train", "weights/only/kernel"][6][:, 2].sum() == 4
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    kinds = ("metrics of a sample", "gradients")
    expected = [f"note: TensorBoard shows no {kind} of this model: only trained" for kind in kinds]
    assert notes == expected


def test_many_classes_have_no_matrix_and_only_the_first_curves(tmp_path):
    x, y = RANDOM.random((24, 4), np.float32), RANDOM.integers(120, size=24)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(120, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    files = Events(tmp_path)
    batches = Batches(x, y, 8, are_images=False)
    stopwatch = Stopwatch(8)
    shown = all_dashboards(files, Examples(x, y), Examples(x, y), None, stopwatch, BatchLosses())
    callbacks = [stopwatch, shown["images"], shown["pr_curves"]]
    LOOPS["fit"](model, batches, Examples(x, y).in_order(), 1, callbacks)
    files.close()
    assert tags(events(tmp_path), "validation") == {f"pr/{number}/pr_curves" for number in range(100)}
