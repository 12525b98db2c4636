"""A whole run: its validation, its history, how it reads its data, what it warns of."""

import csv
import dataclasses
import functools
import json
import os
import signal
import types

import numpy as np
import pytest

import kerasmlp
from helpers import assert_same, events
from kerasmlp import data, runs, train as command
from kerasmlp.data import read_source
from kerasmlp.distribute import Distribution, StopTogether, distribution
from kerasmlp.distribute.cluster import Cluster
from kerasmlp.exporting import Served
from kerasmlp.loops import LOOPS
from kerasmlp.runs import drive, training
from kerasmlp.runs.task import prepare
from kerasmlp.train import train


@pytest.mark.parametrize("model, any_arrays", [(None, False), ("mine:make", True)])
def test_a_worker_reads_the_data_as_the_chief_does(model, any_arrays, monkeypatch, tmp_path):
    read = []

    def reads(*given):
        read.append(given)
        raise OSError("that is all")

    monkeypatch.setattr(data, "read_source", reads)
    settings = kerasmlp.Settings(data="x.npz", model=model, transpose=True, logdir=tmp_path)
    workers = distribution("none")
    for of_worker in (functools.partial(runs.follow, workers=workers), train):
        with pytest.raises(OSError, match="that is all"):
            of_worker(settings)
    assert read == [("x.npz", any_arrays, True)] * 2


def test_only_the_chief_trains(tmp_path):
    cluster = Cluster(None, (("worker", 0), ("worker", 1)), ("one:1", "two:1"), worker=1)
    with pytest.raises(ValueError, match="expected to be called by worker 0, the chief; this is 1"):
        train(kerasmlp.Settings(logdir=tmp_path), workers=Distribution(None, cluster))
    assert [*tmp_path.iterdir()] == []


def test_the_strategy_is_made_as_the_settings_say(tmp_path, monkeypatch):
    asked = []

    def distribution(*given):
        asked.append(given)
        raise OSError("that is all")

    monkeypatch.setattr(training.distribute, "distribution", distribution)
    settings = kerasmlp.Settings(strategy="mirrored", logical_cpus=2, logdir=tmp_path)
    with pytest.raises(OSError, match="that is all"):
        train(settings)
    assert asked == [("mirrored", 2)]


@pytest.mark.parametrize(
    "momentum, epochs, steps, said",
    [
        (0.9, 2, 5, "10 steps, the averaged weights are still 35% initial"),
        (0.99, 2, 100, "200 steps, the averaged weights are still 13% initial"),
        (0.9999, 1, 2000, "2,000 steps, the averaged weights are still 82% initial"),
        (0.99, 3, 100, None),
        (0.05, 1, 1, None),
        (0.051, 1, 1, "1 steps, the averaged weights are still 5% initial"),
        (0.0, 1, 1, None),
    ],
)
def test_a_short_average_is_told(momentum, epochs, steps, said, capsys):
    settings = kerasmlp.Settings(ema_momentum=momentum, epochs=epochs)
    task = types.SimpleNamespace(batches=types.SimpleNamespace(steps_per_epoch=steps))
    training._warn_of_a_short_average(settings, task)
    error = capsys.readouterr().err
    assert error.startswith(f"note: after {said} weights; train longer") if said else error == ""


class EndError(Exception):
    """Ends a call when it is known what a test wants to know."""


def test_a_run_is_driven_with_its_callbacks_and_its_workers(npz, tmp_path, monkeypatch):
    asked = []

    def drives(*arguments, **named):
        asked.append((*arguments, named))
        raise EndError

    monkeypatch.setattr(drive, "drive", drives)
    small = {"batch_size": 8, "epochs": 3, "summaries": (), "logdir": tmp_path, "early_stopping": 2}
    settings = kerasmlp.Settings(data=str(npz), loop="graph", name="mine", **small)
    workers = Distribution()
    monkeypatch.setattr(Distribution, "expect_same", lambda self, *given: asked.append(given))
    with pytest.raises(EndError):
        train(settings, workers=workers)
    agreed, (of_settings, task, record, loop, named) = asked
    assert agreed == (task.digest, "settings and data")
    assert (of_settings, loop, record.folder) == (settings, LOOPS["graph"], tmp_path / "mine")
    assert named.keys() == {"given", "workers"}
    assert [callback.patience for callback in named["given"]] == [2]
    assert named["workers"] is workers
    assert task.data == str(npz)


def test_a_worker_trains_as_the_chief_does_and_writes_nothing(npz, tmp_path, monkeypatch, capfd):
    asked = []

    class Workers:
        def expect_same(self, *given):
            asked.append(given)

        def loop(self, name):
            def loop(*given):
                asked.append((name, *given))
                os.kill(os.getpid(), signal.SIGTERM)  # the others have heard of none

            return loop

    settings = kerasmlp.Settings(data=str(npz), loop="graph", epochs=3, batch_size=8, logdir=tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    workers = Workers()
    runs.follow(settings, workers)
    (digest, what), (name, model, batches, validation, epochs, (stop,)) = asked
    assert (what, name, validation, epochs) == ("settings and data", "graph", None, 3)
    assert digest == prepare(settings, kerasmlp.MNISTLoader(str(npz))).digest
    assert batches.batch_size == 8
    assert model.built
    assert isinstance(stop, StopTogether)
    assert (stop._workers, stop._interruption.noted, stop._interruption.received) == (workers, 15, None)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture
def averaged(npz, tmp_path):
    """Trains with the average of the weights; returns the run folder and its metrics."""

    def run(loop, **given):
        small = {"epochs": 2, "batch_size": 5, "validation_size": 15, "hidden_units": 8}
        small["jit_compile"] = loop == "fit"
        settings = kerasmlp.Settings(
            data=str(npz), loop=loop, ema_momentum=0.9, logdir=tmp_path, name=loop, **small, **given
        )
        return train(settings)

    return run


@pytest.mark.thorough
@pytest.mark.parametrize("loop", LOOPS)
def test_an_epoch_reports_the_validation_of_the_averaged_weights(loop, averaged):
    folder, metrics = averaged(loop, summaries=("scalars",))
    with (folder / "history.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["val_loss"]) == metrics["validation_loss"]
    assert float(last["val_accuracy"]) == metrics["validation_accuracy"]
    shown = events(folder)["validation", "loss/evaluation"]
    assert shown[10] == pytest.approx(metrics["validation_loss"], rel=1e-6)
    assert metrics["best_validation_loss"] == metrics["validation_loss"]


@pytest.mark.thorough
def test_the_best_model_has_averaged_weights(averaged):
    folder, _ = averaged("graph", summaries=())
    best = kerasmlp.load(folder / "checkpoints/best.keras")
    assert_same(best.get_weights(), kerasmlp.load(folder).get_weights())
    assert int(best.optimizer.iterations) == 0  # it has no optimizer's state: that is of other weights


@pytest.mark.parametrize(
    "validation_size, names",
    [(0, []), pytest.param(15, ["val_accuracy", "val_loss"], marks=pytest.mark.thorough)],
)
def test_the_history_has_the_columns_that_there_are(validation_size, names, npz, tmp_path):
    small = {"data": str(npz), "batch_size": 5, "loop": "eager", "summaries": (), "logdir": tmp_path}
    settings = kerasmlp.Settings(epochs=1, validation_size=validation_size, name="a", **small)
    folder, _ = train(settings)
    train(dataclasses.replace(settings, epochs=2, resume=True))
    lines = (folder / "history.csv").read_text().splitlines()
    assert lines[0].split(",") == ["epoch", "accuracy", "loss", *names]
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "1"]
    assert "NA" not in "".join(lines)


def test_a_run_keeps_that_its_images_were_transposed(tmp_path, digits):
    """The pixels that tell the classes are in the first row; transposed, in the first column."""
    images, labels = digits
    for name, x in (("emnist.npz", images), ("turned.npz", np.swapaxes(images, 1, 2))):
        np.savez(tmp_path / name, x_train=x, y_train=labels, x_test=x, y_test=labels)
    small = {"batch_size": 8, "epochs": 1, "loop": "eager", "summaries": (), "logdir": tmp_path}
    given = kerasmlp.Settings(data=str(tmp_path / "turned.npz"), transpose=True, **small)
    upright = kerasmlp.Settings(data=str(tmp_path / "emnist.npz"), **small)
    (folder, metrics), (_, expected) = train(given), train(upright)
    assert metrics["test_loss"] == expected["test_loss"]
    assert json.loads((folder / "config.json").read_text())["transpose"] is True
    assert runs.evaluate(folder).metrics["loss"] == pytest.approx(metrics["test_loss"], rel=1e-6)
    other = runs.evaluate(folder, str(tmp_path / "emnist.npz"))
    assert other.metrics["loss"] == pytest.approx(metrics["test_loss"], rel=1e-6)
    turned = runs.evaluate(folder, str(tmp_path / "turned.npz"), transpose=True)
    assert turned.metrics["loss"] == pytest.approx(metrics["test_loss"], rel=1e-6)
    sideways = runs.evaluate(folder, str(tmp_path / "turned.npz"))
    assert sideways.metrics["loss"] != pytest.approx(metrics["test_loss"], rel=1e-2)
    assert Served.of_run(folder).x.tobytes() == images.tobytes()

    longer = {"epochs": 2, "resume": True, "name": folder.name}
    with pytest.raises(ValueError, match="data: expected the data that the run was begun on"):
        train(dataclasses.replace(given, **longer, transpose=False))
    again = dataclasses.replace(given, **longer, transpose=False, data=str(tmp_path / "emnist.npz"))
    assert train(again)[1]["steps"] == 10


def test_a_run_keeps_that_its_loader_has_transposed_the_images(tmp_path, digits):
    images, labels = digits
    x = np.swapaxes(images, 1, 2)
    np.savez(tmp_path / "turned.npz", x_train=x, y_train=labels, x_test=x, y_test=labels)
    small = {"batch_size": 8, "epochs": 1, "loop": "eager", "summaries": (), "logdir": tmp_path}
    loader = kerasmlp.MNISTLoader(str(tmp_path / "turned.npz"), transpose=True)
    folder, _ = train(kerasmlp.Settings(**small), loader)
    assert json.loads((folder / "config.json").read_text())["transpose"] is True


def test_transpose_is_for_images_and_for_other_data(tmp_path, npz):
    small = {"batch_size": 8, "epochs": 1, "loop": "eager", "summaries": (), "logdir": tmp_path}
    folder, _ = train(kerasmlp.Settings(data=str(npz), **small))
    with pytest.raises(ValueError, match="transpose: expected --data beside it"):
        runs.evaluate(folder, transpose=True)
    table = np.zeros((4, 16), np.float32)
    np.savez(tmp_path / "t.npz", x_train=table, y_train=table, x_test=table, y_test=table)
    with pytest.raises(ValueError, match="--transpose: expected images as bytes, with labels"):
        read_source(str(tmp_path / "t.npz"), any_arrays=True, transpose=True)


@pytest.mark.parametrize("rate, diverges", [(1e9, True), (0.01, False)])
def test_a_loss_above_that_of_guessing_is_a_warning(rate, diverges, npz, tmp_path, capsys):
    flags = f"--data {npz} --batch-size 8 --epochs 3 --loop eager --logdir {tmp_path} --summaries"
    assert command.main([*flags.split(), "--learning-rate", str(rate), "--name", "a"]) == 0
    loss = json.loads((tmp_path / "a/metrics.json").read_text())["loss"]
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    told = (
        f"warning: the training has diverged: the loss of the last epoch is {loss:.4g}, with a learning"
        " rate of 1e+09; guessing one of 3 classes gives 1.099; try a smaller learning rate, such as"
        " 0.001"
    )
    assert warnings == ([told] if diverges else [])
