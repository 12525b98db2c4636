"""The weights that the dashboards show."""

from typing import Any

import keras


def trainable_weights(model: keras.Model) -> dict[str, Any]:
    """Return the trainable weights, by their path in the model, whatever the model's name."""
    return {
        weight.path.removeprefix(f"{model.name}/"): weight.numpy()
        for weight in model.trainable_variables
    }
