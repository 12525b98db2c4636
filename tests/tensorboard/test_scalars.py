import keras
import numpy as np
import pytest

from helpers import run
from kerasmlp.callbacks.losses import BatchLosses
from kerasmlp.loops.step import compute_gradients


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
