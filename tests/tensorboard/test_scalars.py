import keras
import numpy as np
import pytest

from helpers import events, run
from kerasmlp.callbacks.losses import BatchLosses, StepLoss
from kerasmlp.callbacks.stopwatch import Stopwatch
from kerasmlp.data.examples import Examples
from kerasmlp.loops.step import compute_gradients
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.sample import Sample
from kerasmlp.tensorboard.scalars import Scalars, write_logs


def test_the_metrics_are_those_of_the_loop(written):
    events = written.events
    for epoch, step in enumerate((6, 12)):
        for name in ("loss", "accuracy"):
            running = events["train", f"{name}/running"][step]
            assert running == np.float32(written.history[name][epoch])
            evaluation = events["validation", f"{name}/evaluation"][step]
            assert evaluation == np.float32(written.history[f"val_{name}"][epoch])
        rate = np.float32(written.model.optimizer.learning_rate)
        assert events["train", "optimizer/learning_rate"][step] == rate
        speed = events["train", "speed/examples_per_second"][step]
        assert 7 / speed == pytest.approx(events["train", "speed/milliseconds_per_step"][step] / 1000)


def test_evaluation_and_norms_are_those_of_the_trained_model(written, weight_names, digits):
    """With an average of the weights, the averages are the weights of the trained model."""
    model, events = written.model, written.events
    for name, weight in zip(weight_names, model.get_weights(), strict=True):
        assert events["train", f"norms/weights/{name}"][12] == pytest.approx(np.linalg.norm(weight))
    x, y = digits[0][:20] / np.float32(255), digits[1][:20]
    metrics = model.evaluate(x, y, return_dict=True, verbose=0)
    for name in ("loss", "accuracy"):
        assert events["train", f"{name}/evaluation"][12] == pytest.approx(metrics[name], rel=1e-5)
    _, _, gradients = compute_gradients(model, x, y)
    squares = sum((gradient.numpy() ** 2).sum() for gradient in gradients)
    assert events["train", "norms/gradients"][12] == pytest.approx(np.sqrt(squares), rel=1e-5)


@pytest.fixture
def scalars(tmp_path, small_model):
    """A function that returns scalars of an untrained model, in epochs of 250 steps, and their files."""

    def scalars(**every):
        files, batch_losses, model = Events(tmp_path), BatchLosses(), small_model()
        found = Scalars(files, Sample(Examples(None)), Stopwatch(7), batch_losses, **every)
        found.set_model(model)
        found.set_params({"steps": 250})
        return found, batch_losses, files

    return scalars


def test_every_hundredth_batch_loss_is_written_and_no_running_loss_at_the_end_of_an_epoch(
    scalars, tmp_path
):
    found, batch_losses, files = scalars()
    for first in (1, 251):
        steps = range(first, first + 250)
        batch_losses.latest = [StepLoss(step, step / 4, step / 8) for step in steps]
        found.on_train_batch_end(249)
    files.close()
    losses = events(tmp_path)
    assert losses["train", "loss/batch"] == {step: step / 4 for step in (100, 200, 300, 400, 500)}
    assert losses["train", "loss/running"] == {step: step / 8 for step in (100, 200, 300, 400)}


def test_logs_that_are_no_numbers_are_left_out(tmp_path):
    files = Events(tmp_path)
    logs = {"f1": np.ones(3), "loss": 0.5, "val_f1": np.ones(3), "val_loss": 0.25}
    write_logs(files, 3, logs)
    write_logs(files, 6, {"loss": 0.125})
    files.close()
    assert events(tmp_path) == {
        ("train", "loss/running"): {3: 0.5, 6: 0.125},
        ("validation", "loss/evaluation"): {3: 0.25},
    }


def test_an_optimizer_that_was_not_used_has_no_learning_rate(scalars, tmp_path, capsys):
    found, _, files = scalars()
    found._stopwatch.step, found._stopwatch.seconds_per_step = 5, [9.0, 0.5]
    found.on_epoch_end(0, {})
    found.model.optimizer.build(found.model.trainable_variables)
    found._stopwatch.step = 6
    found.on_epoch_end(1)
    files.close()
    written = events(tmp_path)
    assert written["train", "optimizer/learning_rate"] == {6: pytest.approx(0.1)}
    assert written["train", "speed/milliseconds_per_step"] == {5: 500, 6: 500}
    assert written["train", "speed/examples_per_second"] == {5: 14, 6: 14}
    assert ("train", "norms/gradients") not in written
    assert len(capsys.readouterr().err.splitlines()) == 2, "what cannot be computed is noted once"


@pytest.mark.thorough
def test_the_running_loss_is_the_mean_of_the_epoch_so_far(digits, small_model, write, tmp_path):
    batch_losses = BatchLosses()
    losses = {}

    class Keep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            losses.update((step, loss) for step, loss, _ in batch_losses.latest)

    callbacks = [batch_losses, Keep()]
    run("graph", small_model(), digits, validation=False, callbacks=callbacks)
    written = write(tmp_path, "fit", steps_per_execution=5)
    running = written.events["train", "loss/running"]
    assert running[4] == pytest.approx(np.mean([losses[step] for step in (1, 2, 3, 4)]), rel=1e-6)
    assert running[8] == pytest.approx(np.mean([losses[step] for step in (7, 8)]), rel=1e-6)


def test_the_learning_rate_follows_its_schedule(write, tmp_path):
    def optimizer():
        return keras.optimizers.SGD(keras.optimizers.schedules.PolynomialDecay(0.12, 12, 0.0))

    rates = write(tmp_path, "fit", optimizer=optimizer).events["train", "optimizer/learning_rate"]
    assert [float(rates[step]) for step in (6, 12)] == pytest.approx([0.06, 0.0])
