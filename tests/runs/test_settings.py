import dataclasses

import pytest

from kerasmlp.runs.recipes import RECIPES
from kerasmlp.runs.settings import Settings


def test_the_defaults_are_the_handbooks_hyper_parameters():
    settings = Settings()
    assert (settings.epochs, settings.batch_size, settings.learning_rate) == (5, 50, 0.001)
    assert (settings.hidden_units, settings.loop, settings.data) == ((100,), "fit", "auto")


def test_the_environment_gives_the_default_of_data(monkeypatch):
    monkeypatch.setenv("KERASMLP_DATA", "mnist5k")
    assert Settings().data == "mnist5k"
    assert Settings(data="mnist").data == "mnist"


def test_what_is_given_wins_over_the_recipe_and_the_recipe_over_the_default():
    settings = Settings(recipe="handbook", loop="eager", validation_size=100)
    assert (settings.sampling, settings.validation_size) == ("replacement", 100)
    assert (settings.jit_compile, settings.steps_per_execution) == (False, 1)
    fields = {field.name for field in dataclasses.fields(Settings)}
    assert all(set(recipe) <= fields for recipe in RECIPES.values())


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"epochs": 0}, "--epochs: expected at least 1; received 0"),
        ({"batch_size": 0}, "--batch-size: expected at least 1; received 0"),
        ({"learning_rate": -0.1}, "--learning-rate: expected a positive number; received -0.1"),
        ({"learning_rate": float("nan")}, "received nan"),
        ({"weight_decay": -0.1}, "--weight-decay: expected 0 or a number below 1; received -0.1"),
        ({"ema_momentum": 1.0}, "--ema-momentum: expected 0 or a number below 1; received 1.0"),
        ({"affine": float("nan")}, "--affine: expected 0 or a number below 1; received nan"),
        ({"translation": -1}, "--translation: expected a number of pixels, 0 to 100; received -1"),
        ({"elastic": float("inf")}, "--elastic: expected a number of pixels, 0 to 100; received inf"),
        ({"seed": -1}, "--seed: expected a number from 0 to 2147483647; received -1"),
        ({"hidden_units": ()}, "--hidden-units: expected one number or more"),
        ({"hidden_units": (8, 0)}, r"received \(8, 0\)"),
        ({"validation_size": -1}, "--validation-size: expected auto or a number"),
        (
            {"steps_per_execution": 0},
            "--steps-per-execution: expected auto or 1 to 1,000,000; received 0",
        ),
        ({"name": "a/b"}, "--name: expected the name of a folder"),
        ({"name": ".."}, "--name"),
        ({"loop": "eager"}, "the eager loop compiles nothing"),
    ],
)
def test_a_setting_out_of_bounds_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Settings(**wrong)


@pytest.mark.parametrize(
    "images, size, held_out", [(60_000, "auto", 5000), (4000, "auto", 400), (60, 0, 0)]
)
def test_validation_images(images, size, held_out):
    assert Settings(validation_size=size).validation_images(images) == held_out


def test_held_out_images_must_leave_a_batch():
    with pytest.raises(ValueError, match="fewer than the 100 training images; received 100"):
        Settings(validation_size=100).validation_images(100)
    with pytest.raises(
        ValueError, match=r"at most the 60 training images .*40 are held out.*received 61"
    ):
        Settings(validation_size=40, batch_size=61).validation_images(100)
