import io
import json
import urllib.request

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from sklearn.metrics import confusion_matrix, precision_score, recall_score
from tensorboard.plugins.histogram.summary_v2 import histogram_pb

import browser
from helpers import bits, cases, compiled, events, run, series
from kerasmlp.callbacks.losses import BatchLosses
from kerasmlp.callbacks.stopwatch import Stopwatch
from kerasmlp.data.batches import Batches
from kerasmlp.data.examples import Examples
from kerasmlp.loops.builtin import LOOPS
from kerasmlp.loops.step import compute_gradients
from kerasmlp.tensorboard import pictures
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.graph import Graph
from kerasmlp.tensorboard.histograms import Histograms, histogram
from kerasmlp.tensorboard.images import Images, is_shown
from kerasmlp.tensorboard.pr_curves import PRCurves
from kerasmlp.tensorboard.scalars import Scalars

WEIGHTS = [f"{layer}/{kind}" for layer in ("hidden", "head") for kind in ("kernel", "bias")]


def dense():
    return [
        layers.Flatten(),
        layers.Dense(4, name="hidden"),
        layers.Dense(3, name="head"),
        layers.Softmax(),
    ]


def write(folder, loop, digits, epochs=2, **compilation):
    """Train by six steps an epoch, and write all there is, each fourth batch loss among it."""
    model = compiled(dense, **compilation)
    stopwatch, losses = Stopwatch(7), BatchLosses()
    images, labels = digits
    sample, validation = Examples(images[:20], labels[:20]), Examples(images, labels)
    written = Events(folder)
    shown = [
        Scalars(written, sample, stopwatch, losses, every=4),
        Graph(written, Batches(*digits, 7).input_spec),
        Histograms(written, sample),
        Images(written, sample, validation),
        PRCurves(written, validation),
    ]
    history = run(loop, model, digits, epochs=epochs, callbacks=[stopwatch, losses, *shown])
    written.close()
    return model, history


VARIANTS = [("fit", 1), ("fit", 5), ("graph", 1), ("graph", 5), ("eager", 1)]


@pytest.mark.parametrize("variant", cases(VARIANTS, default=VARIANTS[1:3]), ids=str)
def test_every_loop_writes_the_same_tags_at_the_same_steps(variant, digits, tmp_path):
    loop, steps_per_execution = variant
    write(tmp_path, loop, digits, steps_per_execution=steps_per_execution)
    at_epochs = [
        *("loss/evaluation", "accuracy/running", "accuracy/evaluation"),
        *("learning_rate", "gradient_norm"),
        *("speed/examples_per_second", "speed/milliseconds_per_step", "images/first_layer"),
        *(f"{kind}/{name}" for kind in ("weights", "gradients", "weight_norm") for name in WEIGHTS),
    ]
    validation = ["loss/evaluation", "accuracy/evaluation", "images/confusion", "images/mistakes"]
    validation += [f"pr/{number}/pr_curves" for number in range(3)]
    # The tag of a weight is its path in the model, whatever the model's name.
    assert {key: list(steps) for key, steps in events(tmp_path).items()} == {
        ("train", "graph"): [0],
        ("train", "images/samples"): [0],
        ("train", "loss/batch"): [4, 8, 12],
        ("train", "loss/running"): [4, 6, 8, 12],
        **{("train", tag): [6, 12] for tag in at_epochs},
        **{("validation", tag): [6, 12] for tag in validation},
    }
    plugins = {tag.split("/")[0]: plugin for _, plugin, tag in series(tmp_path)}
    assert plugins == {
        "__run_graph__": "graphs",
        **dict.fromkeys(("loss", "accuracy", "learning_rate", "gradient_norm"), "scalars"),
        **dict.fromkeys(("weight_norm", "speed"), "scalars"),
        **{"weights": "histograms", "gradients": "histograms"},
        **{"images": "images", "pr": "pr_curves"},
    }


def test_the_scalars_are_what_their_names_say(digits, tmp_path):
    model, history = write(tmp_path, "fit", digits)
    read = events(tmp_path)
    for epoch, step in enumerate((6, 12)):
        for name in ("loss", "accuracy"):
            assert read["train", f"{name}/running"][step] == np.float32(history[name][epoch])
            shown = read["validation", f"{name}/evaluation"][step]
            assert shown == np.float32(history[f"val_{name}"][epoch])
        assert read["train", "learning_rate"][step] == np.float32(0.01)
        speed = read["train", "speed/examples_per_second"][step]
        assert 7 / speed == pytest.approx(read["train", "speed/milliseconds_per_step"][step] / 1000)
    for name, weight in zip(WEIGHTS, model.get_weights(), strict=True):
        assert read["train", f"weight_norm/{name}"][12] == pytest.approx(np.linalg.norm(weight))
        histogram = read["train", f"weights/{name}"][12]
        assert histogram[:, 2].sum() == weight.size
        ends = histogram[0, 0], histogram[-1, 1]
        assert ends == pytest.approx((weight.min(), weight.max()), rel=1e-5)

    x, y = digits[0][:20] / np.float32(255), digits[1][:20]
    metrics = model.evaluate(x, y, return_dict=True, verbose=0)
    for name in ("loss", "accuracy"):
        assert read["train", f"{name}/evaluation"][12] == pytest.approx(metrics[name], rel=1e-5)
    _, _, gradients = compute_gradients(model, x, y)
    squares = sum((gradient.numpy() ** 2).sum() for gradient in gradients)
    assert read["train", "gradient_norm"][12] == pytest.approx(np.sqrt(squares), rel=1e-5)


def test_the_running_loss_is_the_mean_of_the_epoch_so_far(digits, tmp_path):
    batch_losses = BatchLosses()
    all_losses = {}

    class Keep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            all_losses.update((step, loss) for step, loss, _ in batch_losses.latest)

    run("graph", compiled(dense), digits, callbacks=[batch_losses, Keep()])
    write(tmp_path, "fit", digits, steps_per_execution=5)
    read = events(tmp_path)["train", "loss/running"]
    assert read[4] == pytest.approx(np.mean([all_losses[step] for step in (1, 2, 3, 4)]), rel=1e-6)
    assert read[8] == pytest.approx(np.mean([all_losses[step] for step in (7, 8)]), rel=1e-6)


@pytest.mark.thorough
def test_what_is_written_is_that_of_every_other_loop(digits, tmp_path):
    written = []
    for loop, steps_per_execution in VARIANTS:
        folder = tmp_path / f"{loop}{steps_per_execution}"
        write(folder, loop, digits, steps_per_execution=steps_per_execution)
        written.append(
            {
                key: {step: bits(value) for step, value in steps.items()}
                for key, steps in events(folder).items()
                if key[1] != "graph" and not key[1].startswith("speed")
            }
        )
    assert all(other == written[0] for other in written)
    assert len(set(written[0]["train", "loss/batch"].values())) == 3


def test_images_and_curves_are_those_of_the_validation_examples(digits, tmp_path):
    model, _ = write(tmp_path, "fit", digits)
    read = events(tmp_path)
    images, labels = digits
    probabilities = model.predict(images / np.float32(255), verbose=0)
    picture = image(read["validation", "images/confusion"][12])
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1))
    assert np.array_equal(picture, pictures.confusion(matrix))
    picture = image(read["validation", "images/mistakes"][12])
    assert np.array_equal(picture, pictures.mistakes(images, labels, probabilities))
    picture = image(read["train", "images/first_layer"][12])
    assert np.array_equal(picture, pictures.first_layer(model.get_weights()[0], (6, 6, 1)))
    picture = image(read["train", "images/samples"][0])
    assert np.array_equal(picture, pictures.captioned(images[:20], list(map(str, labels[:20]))))
    for number in range(3):
        curve = read["validation", f"pr/{number}/pr_curves"][12]
        positive = probabilities[:, number] >= 0.5
        at_half = curve[4:, 100]
        assert at_half[0] == pytest.approx(precision_score(labels == number, positive, zero_division=0))
        assert at_half[1] == pytest.approx(recall_score(labels == number, positive))


def image(value):
    """The picture of an image summary, whose size has to be what the summary says."""
    width, height, png = value
    with Image.open(io.BytesIO(png)) as opened:
        assert opened.size == (int(width), int(height))
        return np.asarray(opened)


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=(784, 100)).astype(np.float32),
        np.arange(-3, 40, dtype=np.float32),
        np.full(7, 0.5, np.float32),
        np.array([0.0]),
        np.array([1.0, np.nan, 2.0]),
        np.array([1.0, np.inf]),
    ],
    ids=["weights", "even", "constant", "one", "nan", "inf"],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_a_histogram_is_tensorboards_own_bit_for_bit(values):
    expected = histogram_pb("a", values, description="b")
    assert histogram("a", values, "b").SerializeToString() == expected.SerializeToString()


def test_images_are_shown_of_ten_epochs_of_the_first_thousand():
    assert [epoch + 1 for epoch in range(1000) if is_shown(epoch)] == [2**n for n in range(10)]


def test_a_model_whose_first_layer_sees_no_pixels_is_shown_without_them(digits, tmp_path):
    def convolutional():
        return [layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3), layers.Softmax()]

    written = Events(tmp_path)
    shown = Images(written, Examples(*digits), None)
    run("fit", compiled(convolutional), digits, callbacks=[shown])
    written.close()
    assert {tag for _, tag in events(tmp_path)} == {"images/samples"}


def test_what_an_augmentation_does_is_shown(digits, tmp_path):
    written = Events(tmp_path)
    shown = Images(written, Examples(*digits), None, augment=lambda images: 255 - images)
    run("fit", compiled(dense), digits, callbacks=[shown])
    written.close()
    images, labels = digits
    picture = image(events(tmp_path)["train", "images/augmented"][0])
    assert np.array_equal(picture, pictures.captioned(255 - images[:25], list(map(str, labels[:25]))))


def test_the_graph_of_the_model_is_written(digits, tmp_path):
    write(tmp_path, "fit", digits, epochs=1)
    (graph,) = events(tmp_path)["train", "graph"].values()
    operations = {(node.name, node.op) for node in graph.node}
    assert any("hidden" in name and op == "MatMul" for name, op in operations)
    assert any(op == "Softmax" for _, op in operations)


@pytest.fixture
def tensorboard(digits, tmp_path):
    """A real TensorBoard server on a run of each loop: a function that gets JSON from it."""
    for loop in LOOPS:
        write(tmp_path / loop, loop, digits)

    def get(path):
        with urllib.request.urlopen(address + path, timeout=30) as answer:
            return json.load(answer)

    with browser.tensorboard(tmp_path) as address:
        yield get


def test_tensorboard_lists_the_runs_with_their_tags_and_graphs(tensorboard):
    expected = {f"{loop}/{sub_run}" for loop in LOOPS for sub_run in ("train", "validation")}
    assert set(tensorboard("data/runs")) == expected
    scalars = tensorboard("data/plugin/scalars/tags")
    for loop in LOOPS:
        assert set(scalars[f"{loop}/validation"]) == {"loss/evaluation", "accuracy/evaluation"}
        assert "loss/batch" in scalars[f"{loop}/train"]
        points = tensorboard(f"data/plugin/scalars/scalars?run={loop}/train&tag=loss/running")
        assert [step for _, step, _ in points] == [4, 6, 8, 12]
    graphs = tensorboard("data/plugin/graphs/info")
    assert {run for run in graphs if graphs[run]["run_graph"]} == {f"{loop}/train" for loop in LOOPS}


def test_a_schedule_is_shown_as_it_goes(digits, tmp_path):
    def optimizer():
        return keras.optimizers.SGD(keras.optimizers.schedules.PolynomialDecay(0.12, 12, 0.0))

    write(tmp_path, "fit", digits, optimizer=optimizer)
    rates = events(tmp_path)["train", "learning_rate"]
    assert [float(rates[step]) for step in (6, 12)] == pytest.approx([0.06, 0.0])
