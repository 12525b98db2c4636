"""The contenders: each trains the handbook's MLP an epoch at a turn, as its own experts would for speed.

All train on the same images with batches of 50 in a new order each epoch, Adam 0.001, cross-entropy, and
weights drawn from the same distribution (Glorot uniform, biases 0). The peers keep the mean loss of the
epoch; ours and Keras' the accuracy too. Each imports its framework when it is called, so that its
process holds no other.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from kerasmlp import cli
from kerasmlp.runs.run_settings import SummaryName

BATCH = 50
RATE = 0.001


class Data(Protocol):
    """What is trained on."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int32]
    hidden: int
    seed: int


class Turns(Protocol):
    """When to train an epoch."""

    def begin(self) -> None:
        """Wait for the turn, and start the clock."""

    def end(self, accuracy: Callable[[], float]) -> None:
        """Stop the clock."""

    def each(self, accuracy: Callable[[], float]) -> Iterator[None]:
        """Yield at each turn."""


def ours(
    data: Data,
    turns: Turns,
    loop: str = "fit",
    *,
    steps: Callable[[int], int] | None = None,
    checkpoint: str | None = None,
    summaries: Sequence[Any] | None = None,
    each_epoch: bool = False,
) -> None:
    """A loop as `kerasmlp.train` runs it: XLA, and steps an execution chosen for responsiveness.

    Args:
        data: to train on.
        turns: when.
        loop: its name.
        steps: an execution, of those of an epoch.
        checkpoint: how often one is written, and nothing else.
        summaries: that are written, with all else that a run writes.
        each_epoch: write images and curves of each epoch, not only of the 1st, 2nd, 4th, ...
    """
    with cli.quiet_start(verbose=False):
        import keras

    from kerasmlp.callbacks import Interruption, Stopwatch
    from kerasmlp.checkpoints import Checkpoint, Checkpoints
    from kerasmlp.data import Batches, Examples
    from kerasmlp.loops import LOOPS, responsive_steps
    from kerasmlp.models import compiled_mlp
    from kerasmlp.runs import Settings
    from kerasmlp.runs.record import Record
    from kerasmlp.runs.run_callbacks import run_callbacks
    from kerasmlp.runs.task import Task
    from kerasmlp.tensorboard import Events, images, pr_curves

    keras.utils.set_random_seed(data.seed)
    model = compiled_mlp(data.images.shape[1:], 10, hidden_units=(data.hidden,), jit_compile=True)
    train = Batches(data.images, data.labels, BATCH, data.seed)
    per_epoch = train.steps_per_epoch
    responsive = responsive_steps(model.count_params(), BATCH, data.images[0].nbytes, per_epoch)
    model.steps_per_execution = steps(per_epoch) if steps else responsive
    test = Examples(data.test_images, data.test_labels, are_images=True).in_order()

    class AsIfEvaluated(keras.callbacks.Callback):
        """Gives the callbacks of a run the metrics of a validation, whose time is not theirs."""

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs |= {f"val_{name}": value for name, value in logs.items()}

    class Turn(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            turns.begin()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            turns.end(lambda: model.evaluate(test, return_dict=True, verbose=0)["accuracy"])

    made: list[Any] = []
    folder = Path(tempfile.mkdtemp())
    files = Checkpoints(folder / "checkpoints", 3)
    if checkpoint is not None:
        every = Settings(checkpoint_every=checkpoint).checkpoint_interval
        made = [Checkpoint(files, every, "loss", [], dict, Interruption())]
    elif summaries is not None:
        settings = Settings(summaries=tuple(summaries))
        held_out = Examples(data.test_images[:5000], data.test_labels[:5000])
        task = Task(model, train, None, held_out, held_out, None, "", "", 0, None, True)
        record = Record(folder, Events(folder), files, None, 0)
        made = run_callbacks(settings, task, record, Stopwatch(BATCH), Interruption())
        made.insert(0, AsIfEvaluated())
        if each_epoch:
            for module in (images, pr_curves):
                vars(module)["is_shown"] = lambda epoch: True
    LOOPS[loop](model, train, None, 1_000_000, [*made, Turn()])


def stock_fit(data: Data, turns: Turns) -> None:
    """Keras' `fit` with its defaults, on arrays."""
    _stock(data, turns)


def stock_fit_jit(data: Data, turns: Turns) -> None:
    """Keras' `fit` with `jit_compile=True` and `steps_per_execution=100`."""
    _stock(data, turns, jit_compile=True, steps_per_execution=100)


def _stock(data: Data, turns: Turns, **compilation: Any) -> None:
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(data.images.shape[1:]),
            layers.Flatten(),
            layers.Dense(data.hidden, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    loss, metric = "sparse_categorical_crossentropy", keras.metrics.SparseCategoricalAccuracy("accuracy")
    model.compile(keras.optimizers.Adam(RATE), loss, metrics=[metric], **compilation)
    x, test = (images.astype(np.float32) / 255 for images in (data.images, data.test_images))

    class Turn(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            turns.begin()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            turns.end(
                lambda: model.evaluate(test, data.test_labels, 1000, return_dict=True, verbose=0)[
                    "accuracy"
                ]
            )

    model.fit(x, data.labels, BATCH, epochs=1_000_000, verbose=0, callbacks=[Turn()])


def handbook(data: Data, turns: Turns) -> None:
    """The handbook's loop: GradientTape, op by op, batches drawn by NumPy; without its line a batch."""
    import keras
    import tensorflow as tf

    class MLP(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.flatten = keras.layers.Flatten()
            self.dense1 = keras.layers.Dense(data.hidden, activation=tf.nn.relu)
            self.dense2 = keras.layers.Dense(10)

        def call(self, inputs: Any) -> Any:
            return tf.nn.softmax(self.dense2(self.dense1(self.flatten(inputs))))

    model, optimizer = MLP(), keras.optimizers.Adam(learning_rate=RATE)
    images, test = (x.astype(np.float32) / 255 for x in (data.images, data.test_images))

    def accuracy() -> float:
        metric = keras.metrics.SparseCategoricalAccuracy()
        for first in range(0, len(test), BATCH):
            chosen = slice(first, first + BATCH)
            metric.update_state(data.test_labels[chosen], model(test[chosen]))
        return float(metric.result())

    for _ in turns.each(accuracy):
        for _ in range(len(images) // BATCH):
            index = np.random.randint(0, len(images), BATCH)
            x, y = images[index], data.labels[index]
            with tf.GradientTape() as tape:
                loss = keras.losses.sparse_categorical_crossentropy(y, model(x))
                loss = tf.reduce_mean(loss)
            gradients = tape.gradient(loss, model.variables)
            optimizer.apply_gradients(zip(gradients, model.variables, strict=True))
        float(loss)


def torch_eager(data: Data, turns: Turns) -> None:
    """PyTorch, the data a tensor, Adam as it comes."""
    _torch(data, turns)


def torch_fused(data: Data, turns: Turns) -> None:
    """PyTorch with the fused Adam."""
    _torch(data, turns, fused=True)


def torch_compile(data: Data, turns: Turns) -> None:
    """PyTorch with the fused Adam, forward pass and loss under `torch.compile`."""
    _torch(data, turns, fused=True, compiled=True)


def _torch(data: Data, turns: Turns, *, fused: bool = False, compiled: bool = False) -> None:
    import torch

    torch.manual_seed(data.seed)
    model = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(data.images[0].size, data.hidden),
        torch.nn.ReLU(),
        torch.nn.Linear(data.hidden, 10),
    )
    for layer in (model[1], model[3]):
        torch.nn.init.xavier_uniform_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(model.parameters(), RATE, eps=1e-7, fused=fused)
    x, test = (torch.from_numpy(images).float() / 255 for images in (data.images, data.test_images))
    y, test_y = (torch.from_numpy(labels).long() for labels in (data.labels, data.test_labels))

    def loss_of(x: Any, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(x), y)

    if compiled:
        loss_of = torch.compile(loss_of, fullgraph=True, mode="max-autotune")

    def accuracy() -> float:
        with torch.inference_mode():
            return float((model(test).argmax(1) == test_y).float().mean())

    for _ in turns.each(accuracy):
        total = torch.zeros(())
        for chosen in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(x[chosen], y[chosen])
            loss.backward()
            optimizer.step()
            total += loss.detach()
        float(total)


def jax_step(data: Data, turns: Turns) -> None:
    """JAX, each step under `jax.jit`, its state donated."""
    _jax(data, turns, scan=False)


def jax_scan(data: Data, turns: Turns) -> None:
    """JAX, the epoch one program: `lax.scan` over its batches, the bytes gathered before it."""
    _jax(data, turns, scan=True)


def _jax(data: Data, turns: Turns, *, scan: bool) -> None:
    import functools

    import jax
    import jax.numpy as jnp

    size, steps = data.images[0].size, len(data.images) // BATCH

    def dense(key: Any, inputs: int, units: int) -> tuple[Any, Any]:
        return jax.nn.initializers.glorot_uniform()(key, (inputs, units)), jnp.zeros(units)

    keys = jax.random.split(jax.random.key(data.seed))
    weights = [*dense(keys[0], size, data.hidden), *dense(keys[1], data.hidden, 10)]
    state = (weights, [jnp.zeros_like(w) for w in weights], [jnp.zeros_like(w) for w in weights], 0.0)
    images = jnp.asarray(data.images.reshape(-1, size))
    labels = jnp.asarray(data.labels)

    def logits(weights: Any, x: Any) -> Any:
        hidden = jax.nn.relu(x.astype(jnp.float32) / 255 @ weights[0] + weights[1])
        return hidden @ weights[2] + weights[3]

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        log_p = jax.nn.log_softmax(logits(weights, x))
        return -jnp.take_along_axis(log_p, y[:, None], 1).mean()

    def step(state: Any, batch: Any) -> Any:
        weights, first, second, count = state
        loss, gradients = jax.value_and_grad(loss_of)(weights, *batch)
        count = count + 1
        rate = RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        first = [m + 0.1 * (g - m) for m, g in zip(first, gradients, strict=True)]
        second = [v + 0.001 * (g * g - v) for v, g in zip(second, gradients, strict=True)]
        moments = zip(weights, first, second, strict=True)
        weights = [w - rate * m / (jnp.sqrt(v) + 1e-7) for w, m, v in moments]
        return (weights, first, second, count), loss

    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(state: Any, key: Any, images: Any, labels: Any) -> Any:
        order = jax.random.permutation(key, len(images))[: steps * BATCH].reshape(steps, BATCH)
        state, losses = jax.lax.scan(step, state, (images[order], labels[order]))
        return state, losses.mean()

    @functools.partial(jax.jit, donate_argnums=0)
    def one(state: Any, chosen: Any, images: Any, labels: Any) -> Any:
        return step(state, (images[chosen], labels[chosen]))

    test = jnp.asarray(data.test_images.reshape(-1, size))
    predict = jax.jit(lambda weights, x: logits(weights, x).argmax(1))

    def accuracy() -> float:
        return float((np.asarray(predict(state[0], test)) == data.test_labels).mean())

    for number, _ in enumerate(turns.each(accuracy)):
        key = jax.random.fold_in(jax.random.key(data.seed), number)
        if scan:
            state, loss = epoch(state, key, images, labels)
        else:
            order = np.asarray(jax.random.permutation(key, len(images)))
            for chosen in order[: steps * BATCH].reshape(steps, BATCH):
                state, loss = one(state, chosen, images, labels)
        loss.block_until_ready()


def scikit_learn(data: Data, turns: Turns) -> None:
    """scikit-learn's `MLPClassifier`, an epoch a call of `partial_fit`, in float32."""
    from sklearn.neural_network import MLPClassifier

    size = data.images[0].size
    model = MLPClassifier((data.hidden,), alpha=0, batch_size=BATCH, learning_rate_init=RATE)
    x, test = (
        images.reshape(-1, size).astype(np.float32) / 255 for images in (data.images, data.test_images)
    )
    for _ in turns.each(lambda: float(model.score(test, data.test_labels))):
        model.partial_fit(x, data.labels, classes=np.arange(10))


def floor(data: Data, turns: Turns) -> None:
    """The two large matrix products of each step alone, in NumPy: no contender, a bound."""
    x = data.images.reshape(len(data.images), -1).astype(np.float32)
    weights = np.zeros((x.shape[1], data.hidden), np.float32)
    hidden = np.zeros((BATCH, data.hidden), np.float32)
    gradient = np.empty_like(weights)
    for _ in turns.each(lambda: 0.0):
        for first in range(0, len(x) - BATCH + 1, BATCH):
            batch = x[first : first + BATCH]
            np.matmul(batch, weights, out=hidden)
            np.matmul(batch.T, hidden, out=gradient)


WITH_CALLBACKS: dict[str, Callable[[Data, Turns], None]] = {
    "kerasmlp fit, a checkpoint an epoch": partial(ours, checkpoint="1epoch"),
    "kerasmlp fit, a checkpoint a second": partial(ours, checkpoint="1s"),
    "kerasmlp fit, all but TensorBoard": partial(ours, summaries=()),
    "the same and scalars": partial(ours, summaries=["scalars"]),
    "the same and histograms": partial(ours, summaries=["histograms"]),
    "the same and images, each epoch": partial(ours, summaries=["images"], each_epoch=True),
    "the same and PR curves, each epoch": partial(ours, summaries=["pr_curves"], each_epoch=True),
    "kerasmlp fit, all callbacks": partial(ours, summaries=get_args(SummaryName)),
    "kerasmlp fit, all callbacks, images and curves each epoch": partial(
        ours, summaries=get_args(SummaryName), each_epoch=True
    ),
}
CONTENDERS: dict[str, Callable[[Data, Turns], None]] = {
    "kerasmlp fit": ours,
    **WITH_CALLBACKS,
    "kerasmlp graph": partial(ours, loop="graph", steps=lambda per_epoch: per_epoch),
    "kerasmlp graph, responsive": partial(ours, loop="graph"),
    "Keras fit": stock_fit,
    "Keras fit, jit_compile, steps_per_execution=100": stock_fit_jit,
    "handbook's loop": handbook,
    "PyTorch": torch_eager,
    "PyTorch, fused Adam": torch_fused,
    "PyTorch, fused Adam, torch.compile": torch_compile,
    "JAX, jit a step": jax_step,
    "JAX, lax.scan": jax_scan,
    "scikit-learn": scikit_learn,
    "floor: two matrix products": floor,
}
