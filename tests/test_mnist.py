"""What is promised of all of MNIST."""

import functools
import time

import numpy as np
import pytest
import tensorflow as tf

import kerasmlp
from helpers import assert_same, cases, events, state
from kerasmlp.data.batches import Batches
from kerasmlp.models.mlp import compiled_mlp
from kerasmlp.runs.settings import Settings
from kerasmlp.train import train

pytestmark = pytest.mark.mnist


PLAIN = (("fit", 1, False), ("graph", 100, False), ("graph", 1, False), ("fit", 100, False))
XLA = (("fit", 100, True), ("graph", 100, True), ("graph", 1, True))


def results(mnist, logdir, loop, steps_per_execution, jit_compile, **given):
    settings = Settings(
        loop=loop,
        logdir=logdir,
        validation_size=0,
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
        **given,
    )
    folder, metrics = train(settings, mnist)
    history = (folder / "history.csv").read_text()
    tags = {key: list(steps) for key, steps in events(folder).items()}
    return metrics, history, tags, state(kerasmlp.load(folder / "model.keras"))


@pytest.mark.parametrize("seed", cases((0, 1, 2), default=(0,)))
def test_five_epochs_reach_97_percent_and_compilations_agree(seed, mnist, tmp_path):
    few = None if seed == 1 else 2  # for the other seeds
    plain, xla = (
        [results(mnist, tmp_path, *variant, seed=seed) for variant in variants[:few]]
        for variants in (PLAIN, XLA)
    )
    for group in (plain, xla):
        for metrics, history, tags, final in group:
            assert metrics["test_accuracy"] == group[0][0]["test_accuracy"] >= 0.970
            assert metrics["steps"] == 6000
            assert history == group[0][1]
            assert tags == plain[0][2]
            assert_same(final, group[0][3])


def test_a_last_partial_batch_is_trained_alike(mnist, tmp_path):
    """60,000 images by 64 leave 32. The eager loop takes its time, and is held to the others here."""
    loops = (("fit", 7), ("graph", 1), ("graph", 7), ("eager", 1))
    runs = [results(mnist, tmp_path, *loop, False, epochs=1, batch_size=64) for loop in loops]
    for metrics, history, tags, final in runs:
        assert metrics["steps"] == 938
        assert metrics["test_accuracy"] == runs[0][0]["test_accuracy"]
        assert history == runs[0][1]
        assert tags == runs[0][2]
        assert_same(final, runs[0][3])


def test_the_handbooks_experiment_reaches_what_it_reached_again(mnist, tmp_path):
    settings = Settings(recipe="handbook", loop="graph", logdir=tmp_path)
    _, metrics = train(settings, mnist)
    assert metrics["steps"] == 6000
    assert metrics["test_accuracy"] >= 0.970


def test_an_epoch_is_drained_inside_a_function(mnist, capsys):
    """Prints the time it takes; a time is never asserted."""
    batches = Batches(mnist.train_data, mnist.train_label, 50)

    @tf.function
    def drain(dataset):
        total = tf.constant(0, tf.int64)
        for _, y in dataset:
            total += tf.reduce_sum(tf.cast(y, tf.int64))
        return total

    seconds = []
    for epoch in range(5):
        begin = time.perf_counter()
        total = int(drain(batches.epoch(tf.Variable(epoch, dtype=tf.int64))))
        seconds.append(time.perf_counter() - begin)
        assert total == int(mnist.train_label.sum())
    with capsys.disabled():
        print(f"\nan epoch of 60,000 images through the pipeline: {np.median(seconds):.3f} s")


def test_the_comparison_calls_the_loops_identical_and_xla_equal(mnist_path):
    """An epoch in lockstep; the eager loop takes its time, and is held to the others above."""
    rows = ("fit", "graph", "graph+jit@100")
    result = kerasmlp.compare_loops(
        functools.partial(compiled_mlp, (28, 28, 1), 10, jit_compile=False, steps_per_execution=1),
        mnist_path,
        {row: row for row in rows},
        epochs=1,
        repeats=0,
    )
    verdicts = [outcome.verdict for outcome in result.outcomes]
    assert verdicts == ["identical", "identical", "equal"], result.diagnosis


@pytest.mark.thorough
def test_photos_are_read(mnist, tmp_path):
    """Fonts have another 1 than people write; pen strokes are what the model was trained for."""
    import photographs

    folder, _ = train(Settings(logdir=tmp_path, summaries=()), mnist)
    model = kerasmlp.load(folder)
    assert photographs.read(model, 0, range(10)).mean() >= 0.85
    assert photographs.read(model, 1, range(10)).mean() >= 0.95
