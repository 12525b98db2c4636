import contextlib
import csv
import json
import os
import pty
import subprocess
import sys
import types

import numpy as np
import pytest

import kerasmlp
from helpers import assert_same, events, python, state
from kerasmlp import train as command
from kerasmlp.checkpoints import files
from kerasmlp.loops.builtin import LOOPS
from kerasmlp.runs import training
from kerasmlp.runs.settings import Settings
from kerasmlp.train import train


def settings(loop, logdir, **given):
    small = {"epochs": 2, "batch_size": 64, "validation_size": 500, "logdir": logdir, "name": loop}
    return Settings(loop=loop, **{**small, **given})


def plain(loop):
    return {} if loop == "eager" else {"jit_compile": False, "steps_per_execution": 7}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, mnist5k):
    """A run of each loop on mnist5k, without XLA: the folder and the metrics of each."""
    logdir = tmp_path_factory.mktemp("logs")
    return {loop: train(settings(loop, logdir, **plain(loop)), mnist5k) for loop in LOOPS}


def test_all_loops_end_with_the_same_weights_optimizer_history_and_accuracy(runs):
    models = {loop: kerasmlp.load(folder / "model.keras") for loop, (folder, _) in runs.items()}
    histories = {loop: (folder / "history.csv").read_text() for loop, (folder, _) in runs.items()}
    for loop, (_, metrics) in runs.items():
        assert_same(state(models[loop]), state(models["fit"]))
        assert histories[loop] == histories["fit"]
        assert metrics["test_accuracy"] == runs["fit"][1]["test_accuracy"] > 0.8
        assert metrics["test_loss"] == runs["fit"][1]["test_loss"]
    assert int(models["fit"].optimizer.iterations) == 2 * 55


def test_all_loops_write_the_same_tags_and_steps(runs):
    read = {
        loop: {key: list(steps) for key, steps in events(folder).items()}
        for loop, (folder, _) in runs.items()
    }
    assert read["graph"] == read["eager"] == read["fit"]
    assert read["fit"]["validation", "loss/evaluation"] == [55, 110]
    assert read["fit"]["train", "loss/batch"] == [100]


def test_the_run_folder_holds_what_the_contract_says(runs):
    folder, metrics = runs["graph"]
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if "events" not in path.name}
    assert files == {
        *("config.json", "metrics.json", "history.csv", "history.png", "model.keras"),
        *("train", "validation"),
        *("train/projector_config.pbtxt", "train/hidden.bytes", "train/labels.tsv"),
        *("train/sprite.png", "checkpoints", "checkpoints/best.keras"),
        *("checkpoints/step-000000055.npz", "checkpoints/step-000000110.npz"),
    }
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    config = json.loads((folder / "config.json").read_text())
    assert (config["loop"], config["steps_per_execution"], config["hidden_units"]) == ("graph", 7, [100])
    expected = {
        "dataset": "mnist5k",
        "parameters": 79_510,
        "epochs": 2,
        "steps": 110,
        "loop": "graph",
        "jit_compile": False,
        "steps_per_execution": 7,
        "seed": 0,
    }
    assert {name: metrics[name] for name in expected} == expected
    assert 0 < metrics["seconds_per_epoch"] < metrics["seconds_to_first_step"] + 60
    assert metrics["versions"]["kerasmlp"] == kerasmlp.__version__
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert set(rows[0]) == {"epoch", "accuracy", "loss", "val_accuracy", "val_loss"}


def test_the_saved_model_is_the_one_that_was_tested(runs, mnist5k):
    folder, metrics = runs["fit"]
    probabilities = kerasmlp.load(folder / "model.keras").predict(
        mnist5k.test_data / np.float32(255), verbose=0
    )
    accuracy = np.mean(probabilities.argmax(axis=1) == mnist5k.test_label)
    assert accuracy == pytest.approx(metrics["test_accuracy"], abs=1e-6)


@pytest.mark.thorough
def test_the_best_weights_and_the_last_state_are_saved(tmp_path, mnist5k):
    changed = {"learning_rate": 0.1, "epochs": 4, "batch_size": 500, "ema_momentum": 0.0}
    settled = settings("graph", tmp_path, **changed, **plain("graph"))
    folder, _ = train(settled, mnist5k)
    with (folder / "history.csv").open() as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file)]
    best = kerasmlp.load(folder / "checkpoints/best.keras")
    images, labels = mnist5k.train_data[-500:] / np.float32(255), mnist5k.train_label[-500:]
    loss = best.evaluate(images, labels, 500, return_dict=True, verbose=0)["loss"]
    assert loss == pytest.approx(min(losses), rel=1e-5)
    newest = files.read(folder / "checkpoints/step-000000028.npz")
    saved = [a for name, a in sorted(newest.arrays.items()) if name.startswith(("model", "optim"))]
    assert_same(saved, state(kerasmlp.load(folder / "model.keras")))


@pytest.mark.thorough
def test_with_xla_fit_and_graph_are_the_same(tmp_path, mnist5k):
    folders = [train(settings(loop, tmp_path, epochs=1), mnist5k)[0] for loop in ("fit", "graph")]
    fit, graph = (state(kerasmlp.load(folder / "model.keras")) for folder in folders)
    assert_same(fit, graph)


@pytest.mark.thorough
def test_without_validation_there_is_no_validation_run(tmp_path, mnist5k):
    folder, _ = train(settings("fit", tmp_path, validation_size=0, epochs=1), mnist5k)
    assert {sub_run for sub_run, _ in events(folder)} == {"train"}
    assert (folder / "checkpoints/best.keras").exists()


def test_the_command_prints_the_handbooks_last_line(npz, tmp_path, capsys):
    argv = f"--data {npz} --batch-size 8 --logdir {tmp_path} --name mine --loop eager --epochs 1"
    assert command.main(argv.split()) == 0
    metrics = json.loads((tmp_path / "mine/metrics.json").read_text())
    assert capsys.readouterr().out.splitlines() == [
        f"data: {npz}",
        f"run: {tmp_path / 'mine'}",
        f"test accuracy: {metrics['test_accuracy']:f}",
    ]
    assert (metrics["jit_compile"], metrics["steps_per_execution"]) == (False, 1)


def test_the_handbook_recipe_prints_the_loss_of_each_batch(npz, tmp_path, capsys):
    flags = f"--recipe handbook --loop eager --batch-size 16 --epochs 2 --verbose --logdir {tmp_path}"
    assert command.main(["--data", str(npz), *flags.split()]) == 0
    lines = capsys.readouterr().out.splitlines()
    # 40 images make 2 full batches of 16 an epoch, as the handbook counts.
    assert [line.split(":")[0] for line in lines[:4]] == [f"batch {n}" for n in range(4)]
    assert lines[4].startswith("data: ")
    (folder,) = tmp_path.glob("*-eager-seed0")
    config = json.loads((folder / "config.json").read_text())
    assert (config["sampling"], config["validation_size"]) == ("replacement", 0)


WRONG = {
    "missing file": "--data {tmp}/nowhere.npz",
    "batch of 0": "--batch-size 0",
    "batch above the data": "--batch-size 41",
    "negative learning rate": "--learning-rate -1",
    "no epochs": "--epochs 0",
    "unknown loop": "--loop keras",
    "unknown flag": "--epoch 3",
    "path separator": "--name a/b",
    "logdir below a file": "--logdir {npz}/logs",
    "validation of all": "--validation-size 40",
    "compiled eager": "--loop eager --jit-compile",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_bad_input_is_one_line_and_leaves_nothing(wrong, npz, tmp_path, capsys):
    logs = tmp_path / "logs"
    flags = f"--data {npz} --batch-size 8 --logdir {logs} {wrong.format(tmp=tmp_path, npz=npz)}"
    assert command.main(flags.split()) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert output.err.startswith("error: ")
    assert not logs.exists() or not list(logs.iterdir())


def test_a_name_that_exists_is_left_as_it_is(npz, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    assert command.main(f"--data {npz} --batch-size 8 --logdir {tmp_path} --name mine".split()) == 2
    assert "expected the name of a new run" in capsys.readouterr().err
    assert not list((tmp_path / "mine").iterdir())


def test_a_run_that_diverges_says_so_and_keeps_its_checkpoints(npz, tmp_path, capsys):
    flags = f"--data {npz} --batch-size 8 --logdir {tmp_path} --name mine --learning-rate 1e38"
    assert command.main([*flags.split(), "--no-jit-compile", "--steps-per-execution", "2"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: the loss is nan at step ")
    assert not (tmp_path / "mine/metrics.json").exists()


@pytest.mark.parametrize("command", ["train", "seeds", "seeds --jobs 2"])
def test_another_backend_is_refused_before_anything_is_written(command, npz, tmp_path):
    name, *flags = command.split()
    done = python("-m", f"kerasmlp.{name}", "--data", npz, *flags, cwd=tmp_path, KERAS_BACKEND="jax")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: KERAS_BACKEND: expected tensorflow")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "logs").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_without_network_and_cache_the_default_trains_on_mnist5k(tmp_path):
    """The results still go to standard output."""
    terminal, child = pty.openpty()
    refused = dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"
    )
    refused |= {"KERAS_HOME": str(tmp_path / "keras"), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "kerasmlp.train", "--summaries", "--name", "x"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=child,
        text=True,
        env={**os.environ, **refused},
    )
    os.close(child)
    shown = b""
    with contextlib.suppress(OSError):  # raised at the end
        while part := os.read(terminal, 1 << 16):  # a terminal that nobody reads is full at last
            shown += part
    os.close(terminal)
    stdout, _ = process.communicate(timeout=300)
    shown = shown.decode()
    assert process.returncode == 0, shown
    data, run, accuracy = stdout.splitlines()
    assert (data, run) == ("data: mnist5k", "run: logs/x")
    assert float(accuracy.removeprefix("test accuracy: ")) >= 0.9
    assert json.loads((tmp_path / "logs/x/metrics.json").read_text())["dataset"] == "mnist5k"
    assert shown.startswith("starting TensorFlow\r")
    assert "warning: MNIST could not be downloaded (--data mnist tells why); training on" in shown
    assert "epoch 5/5  accuracy " in shown
    ways = "tensorboard --logdir logs; kerasmlp evaluate logs/x; kerasmlp predict logs/x PHOTO;"
    ways += " kerasmlp compare --data mnist5k"
    assert f"next: {ways}" in shown
    summary = ["model: mlp (flatten, dense1, dense2)", "parameters: 79,510"]
    summary += ["data: mnist5k, 72 batches of 50, 400 validation examples, 1,000 test examples"]
    summary += ["loop: fit, 5 epochs", "compilation: XLA, 72 steps an execution"]
    assert "\r\n".join(summary) in shown
    assert "validation accuracy of these weights: 0." in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is shown again"


def test_a_run_too_short_for_the_average_of_the_weights_is_told(npz, tmp_path, capsys):
    argv = f"--data {npz} --batch-size 8 --logdir {tmp_path} --epochs 1 --ema-momentum 0.9"
    assert command.main([*argv.split(), "--loop", "eager", "--summaries"]) == 0
    note = "note: after 5 steps, the averaged weights are still 59% initial weights;"
    assert note in capsys.readouterr().err


@pytest.mark.parametrize("momentum, told", [(0.55, True), (0.549, False), (0.0, False)])
def test_an_average_of_more_than_a_twentieth_is_told(momentum, told, capsys):
    """0.55 to the power of 5 is 0.0503."""
    task = types.SimpleNamespace(batches=types.SimpleNamespace(steps_per_epoch=5))
    training._warn_of_a_short_average(Settings(epochs=1, ema_momentum=momentum), task)
    assert (capsys.readouterr().err != "") == told


@pytest.mark.parametrize(
    "flags, message",
    [
        (("--strategy", "multiworker"), "expected the variable TF_CONFIG or a Slurm job step"),
        (("--strategy", "mirrored", "--loop", "eager"), "--loop: expected fit or graph with a strategy"),
        (("--strategy", "mirrored", "--jit-compile"), "--jit-compile: expected False with a strategy"),
        (("--strategy", "mirrored", "--quantize", "int8"), "--quantize: expected none with a strategy"),
        (("--logical-cpus", "2"), "--logical-cpus: expected 1 without the strategy mirrored"),
        (
            ("--strategy", "multiworker", "--steps-per-execution", "5"),
            "--steps-per-execution: expected 1 with the fit loop and the strategy multiworker; graph"
            " takes any number; received 5",
        ),
    ],
)
def test_what_cannot_be_spread_is_said_in_a_line(flags, message, capsys, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert command.main(["--data", "mnist5k", *flags]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and message in error
