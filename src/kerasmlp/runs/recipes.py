"""Recipes: settings that go together. And what follows from the loop and the strategy."""

from typing import Any, Literal

RecipeName = Literal["default", "handbook", "quick", "accurate"]

RECIPES: dict[str, dict[str, Any]] = {
    "default": {},
    "handbook": {"sampling": "replacement", "validation_size": 0},
    "quick": {
        "epochs": 10,
        "batch_size": 200,
        "learning_rate": 0.015,
        "schedule": "cosine",
        "validation_size": 0,
    },
    "accurate": {
        "epochs": 400,
        "batch_size": 500,
        "learning_rate": 0.01,
        "schedule": "cosine",
        "ema_momentum": 0.99,
        "affine": 0.15,
        "translation": 0.8,
        "elastic": 0.8,
        "validation_size": 0,
    },
}
"""What each recipe sets. A setting that is given beside a recipe wins over it."""


def defaults(
    recipe: Any = "default", loop: Any = "fit", strategy: Any = "none", **_: Any
) -> dict[str, Any]:
    """Return the settings that follow from a recipe, a loop and a strategy, whatever their types."""
    compilation: dict[str, Any] = {}
    if loop == "eager":
        compilation = {"jit_compile": False, "steps_per_execution": 1}
    elif strategy != "none":
        compilation = {"jit_compile": False}
        if loop == "fit" and strategy == "multiworker":
            compilation["steps_per_execution"] = 1
    return {**RECIPES.get(str(recipe), {}), **compilation}
