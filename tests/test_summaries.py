import json
import subprocess
import sys
import threading
import time
import urllib.request

import keras
import numpy as np
import pytest
from keras import layers

from helpers import cases, compiled, events, run
from kerasmlp.batches import Batches
from kerasmlp.callbacks import BatchLosses, Stopwatch
from kerasmlp.loops import LOOPS
from kerasmlp.summaries import TensorBoard


def dense():
    return [
        layers.Flatten(),
        layers.Dense(4, name="hidden"),
        layers.Dense(3, name="head"),
        layers.Softmax(),
    ]


def write(folder, loop, digits, **compilation):
    """Train for two epochs of six steps, and write each fourth batch loss."""
    model = compiled(dense, **compilation)
    stopwatch, losses = Stopwatch(7), BatchLosses()
    inputs = Batches(*digits, 7).epoch(0).element_spec[0]
    board = TensorBoard(folder, inputs, stopwatch, losses, every=4)
    history = run(loop, model, digits, callbacks=[stopwatch, losses, board])
    return model, history


VARIANTS = [("fit", 1), ("fit", 5), ("graph", 1), ("graph", 5), ("eager", 1)]


@pytest.mark.parametrize("variant", cases(VARIANTS, default=VARIANTS[1:3]), ids=str)
def test_every_loop_writes_the_same_tags_at_the_same_steps(variant, digits, tmp_path):
    loop, steps_per_execution = variant
    model, history = write(tmp_path, loop, digits, steps_per_execution=steps_per_execution)
    read = events(tmp_path)
    epochs, weights = (
        [6, 12],
        [f"{layer}/{kind}" for layer in ("hidden", "head") for kind in ("kernel", "bias")],
    )
    at_epochs = ["loss", "accuracy", "learning_rate", "examples_per_second", *weights]
    # The tag of a weight is its path in the model, whatever the model's name.
    assert {key: list(steps) for key, steps in read.items()} == {
        ("train", "graph"): [0],
        ("train", "batch_loss"): [4, 8, 12],
        **{("train", tag): epochs for tag in at_epochs},
        **{("validation", tag): epochs for tag in ("loss", "accuracy")},
    }
    for epoch, step in enumerate(epochs):
        for tag in ("loss", "accuracy"):
            assert read["train", tag][step] == np.float32(history[tag][epoch])
            assert read["validation", tag][step] == np.float32(history[f"val_{tag}"][epoch])
        assert read["train", "learning_rate"][step] == np.float32(0.01)
        assert read["train", "examples_per_second"][step] > 0
    histogram = read["train", "head/kernel"][12]
    kernel = model.get_layer("head").kernel.numpy()
    assert histogram[:, 2].sum() == kernel.size
    assert (histogram[0, 0], histogram[-1, 1]) == pytest.approx((kernel.min(), kernel.max()), rel=1e-5)


@pytest.mark.thorough
def test_the_batch_losses_are_those_of_every_other_loop(digits, tmp_path):
    written = []
    for loop, steps_per_execution in VARIANTS:
        folder = tmp_path / f"{loop}{steps_per_execution}"
        write(folder, loop, digits, steps_per_execution=steps_per_execution)
        written.append(events(folder)["train", "batch_loss"])
    assert all(losses == written[0] for losses in written)
    assert len(set(map(float, written[0].values()))) == 3


def test_the_graph_of_the_model_is_written(digits, tmp_path):
    write(tmp_path, "fit", digits)
    (graph,) = events(tmp_path)["train", "graph"].values()
    operations = {(node.name, node.op) for node in graph.node}
    assert any("hidden" in name and op == "MatMul" for name, op in operations)
    assert any(op == "Softmax" for _, op in operations)


@pytest.fixture
def tensorboard(tmp_path):
    """A real TensorBoard server on `tmp_path`: a function that gets JSON from it."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path), "--port", "0"]
    server = subprocess.Popen([*command, "--host", "127.0.0.1"], stderr=subprocess.PIPE, text=True)
    try:
        address = next(
            word
            for line in server.stderr
            for word in line.split()
            if word.startswith("http://127.0.0.1")
        )
        # Read on, or a full pipe would stop the server.
        drain = threading.Thread(target=server.stderr.read, daemon=True)
        drain.start()

        def get(path):
            with urllib.request.urlopen(address + path, timeout=30) as answer:
                return json.load(answer)

        yield get
    finally:
        server.kill()
        server.wait()
        drain.join()
        server.stderr.close()


def test_tensorboard_lists_the_runs_with_their_tags_and_graphs(digits, tmp_path, tensorboard):
    for loop in LOOPS:
        write(tmp_path / loop, loop, digits)
    expected = {f"{loop}/{sub_run}" for loop in LOOPS for sub_run in ("train", "validation")}
    deadline = time.monotonic() + 60
    while set(tensorboard("data/runs")) != expected and time.monotonic() < deadline:
        time.sleep(0.5)
    assert set(tensorboard("data/runs")) == expected
    scalars = tensorboard("data/plugin/scalars/tags")
    for loop in LOOPS:
        assert set(scalars[f"{loop}/validation"]) == {"loss", "accuracy"}
        assert "batch_loss" in scalars[f"{loop}/train"]
        points = tensorboard(f"data/plugin/scalars/scalars?run={loop}/train&tag=loss")
        assert [step for _, step, _ in points] == [6, 12]
    graphs = tensorboard("data/plugin/graphs/info")
    assert {run for run in graphs if graphs[run]["run_graph"]} == {f"{loop}/train" for loop in LOOPS}


def test_a_schedule_is_shown_as_it_goes(digits, tmp_path):
    def optimizer():
        return keras.optimizers.SGD(keras.optimizers.schedules.PolynomialDecay(0.12, 12, 0.0))

    write(tmp_path, "fit", digits, optimizer=optimizer)
    rates = events(tmp_path)["train", "learning_rate"]
    assert [float(rates[step]) for step in (6, 12)] == pytest.approx([0.06, 0.0])
