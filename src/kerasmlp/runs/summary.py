"""What is said of a run before it trains: five lines."""

from pathlib import Path

import keras

from kerasmlp.loops import TrainingData
from kerasmlp.runs.run_settings import RunSettings

LAYERS = 6
"""How many layers are named, at most."""


def lines(
    settings: RunSettings, model: keras.Model, train: TrainingData, name: str, **others: int | None
) -> list[str]:
    """Return what is trained: the model, its parameters, the data, the loop, how it is compiled.

    Args:
        model: has been built.
        train: what it is trained on.
        name: the name of the data.
        others: how many examples there are for what else. None if that is not known.
    """
    layers = [layer.name for layer in model.layers]
    if len(layers) > LAYERS:
        layers = [*layers[: LAYERS - 2], "...", layers[-1]]
    of_data = [
        f"{Path(name).name}, {train.steps_per_epoch:,} batches of {train.batch_size:,}",
        *(f"{count:,} {what} examples" for what, count in others.items() if count),
    ]
    compilation = "XLA" if model.jit_compile else "tf.function"
    if settings.loop == "eager" or model.run_eagerly:
        compilation = "none, operation by operation"
    elif model.steps_per_execution > 1:
        compilation += f", {model.steps_per_execution:,} steps an execution"
    return [
        f"model: {model.name} ({', '.join(layers)})",
        f"parameters: {model.count_params():,}",
        f"data: {', '.join(of_data)}",
        f"loop: {settings.loop}, {settings.epochs:,} epoch{'s' if settings.epochs > 1 else ''}",
        f"compilation: {compilation}",
    ]
