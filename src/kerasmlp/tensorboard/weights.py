"""The weights that several dashboards show."""

from typing import Any

import keras


def trainable_weights(model: keras.Model) -> dict[str, Any]:
    """Return the trainable weights by their path, without the name of the model."""
    return {
        weight.path.removeprefix(f"{model.name}/"): weight.numpy()
        for weight in model.trainable_variables
    }
