import dataclasses
from pathlib import Path

import numpy as np
import pytest

from kerasmlp import Settings
from kerasmlp.runs.recipes import RECIPES


def test_the_defaults_are_the_handbooks_hyper_parameters():
    settings = Settings()
    assert (settings.ema_momentum, settings.schedule, settings.weight_decay) == (0, "constant", 0)
    assert (settings.epochs, settings.batch_size, settings.learning_rate) == (5, 50, 0.001)
    assert (settings.hidden_units, settings.loop, settings.data) == ((100,), "fit", "auto")


def test_the_environment_gives_the_default_of_data(monkeypatch):
    monkeypatch.setenv("KERASMLP_DATA", "mnist5k")
    assert Settings().data == "mnist5k"
    assert Settings(data="mnist").data == "mnist"


def test_a_recipe_by_its_name_alone_is_that_recipe():
    for name, recipe in RECIPES.items():
        settings = Settings(recipe=name)
        assert {setting: getattr(settings, setting) for setting in recipe} == recipe
    assert Settings(recipe="handbook").sampling == "replacement"
    assert Settings(recipe="accurate").ema_momentum == 0.99
    assert Settings(recipe="quick", epochs=3).schedule == "cosine"


def test_the_eager_loop_and_the_strategies_come_with_the_compilation_that_they_have():
    def compiled(**given):
        settings = Settings(**given)
        return settings.jit_compile, settings.steps_per_execution

    assert compiled(loop="graph") == (True, "auto")
    assert compiled(loop="eager") == (False, 1)
    assert compiled(strategy="mirrored") == (False, "auto")
    assert compiled(strategy="multiworker") == (False, 1)
    assert compiled(strategy="multiworker", loop="graph") == (False, "auto")


@pytest.mark.parametrize(
    "given, value",
    [
        ({"logdir": "x"}, Path("x")),
        ({"data": Path("x.npz")}, "x.npz"),
        ({"hidden_units": 200}, (200,)),
        ({"hidden_units": [200, np.int64(100)]}, (200, 100)),
        ({"learning_rate": 1}, 1.0),
        ({"epochs": np.int32(3)}, 3),
        ({"summaries": "scalars"}, ("scalars",)),
    ],
)
def test_a_value_whose_meaning_is_clear_is_converted(given, value):
    (name,) = given
    converted = getattr(Settings(**given), name)
    assert converted == value
    assert type(converted) is type(value)


def test_what_is_given_wins_over_the_recipe_and_the_recipe_over_the_default():
    settings = Settings(recipe="handbook", loop="eager", validation_size=100)
    assert (settings.sampling, settings.validation_size) == ("replacement", 100)
    assert (settings.jit_compile, settings.steps_per_execution) == (False, 1)
    fields = {field.name for field in dataclasses.fields(Settings)}
    assert all(set(recipe) <= fields for recipe in RECIPES.values())


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"epochs": 0}, "^epochs: expected at least 1; received 0"),
        ({"batch_size": 0}, "^batch_size: expected at least 1; received 0"),
        ({"learning_rate": -0.1}, "^learning_rate: expected a positive number; received -0.1"),
        ({"learning_rate": float("nan")}, "received nan"),
        ({"weight_decay": -0.1}, "^weight_decay: expected 0 or a number below 1; received -0.1"),
        ({"ema_momentum": 1.0}, "^ema_momentum: expected 0 or a number below 1; received 1.0"),
        ({"affine": float("nan")}, "^affine: expected 0 or a number below 1; received nan"),
        ({"translation": -1}, "^translation: expected a number of pixels from 0 to 100; received -1"),
        ({"elastic": float("inf")}, "^elastic: expected a number of pixels from 0 to 100; received inf"),
        ({"seed": -1}, "^seed: expected a number from 0 to 2147483647; received -1"),
        ({"hidden_units": ()}, "^hidden_units: expected one number or several, each at least 1"),
        ({"hidden_units": (8, 0)}, r"received \(8, 0\)"),
        ({"validation_size": -1}, "^validation_size: expected auto or at least 0; received -1"),
        (
            {"steps_per_execution": 0},
            "^steps_per_execution: expected auto or a number from 1 to 1,000,000; received 0",
        ),
        ({"name": "a/b"}, "^name: expected the name of a folder"),
        ({"name": ".."}, "^name: "),
        ({"loop": "eager", "jit_compile": True}, "^jit_compile: expected False, since the eager loop"),
        ({"loop": "eager", "steps_per_execution": 2}, "^steps_per_execution: expected 1, since"),
        ({"strategy": "mirrored", "quantize": "int8"}, "^quantize: expected none with a strategy"),
        ({"logical_cpus": 2}, "^logical_cpus: expected 1 without the strategy mirrored; received 2"),
        ({"resume": True}, "^name: expected the run to resume; received None"),
        ({"loop": "foo"}, "^loop: expected fit, graph or eager; received 'foo'$"),
        ({"recipe": "foo"}, "^recipe: expected default, handbook, quick or accurate; received 'foo'$"),
        ({"epochs": "5"}, "^epochs: expected a whole number; received '5'$"),
        ({"epochs": 5.0}, "^epochs: expected a whole number; received 5.0$"),
        ({"epochs": True}, "^epochs: expected a whole number; received True$"),
        ({"epochs": None}, "^epochs: expected a whole number; received None$"),
        ({"learning_rate": "0.1"}, "^learning_rate: expected a number; received '0.1'$"),
        ({"jit_compile": 1}, "^jit_compile: expected True or False; received 1$"),
        ({"name": 3}, "^name: expected a string or None; received 3$"),
        ({"logdir": 3}, "^logdir: expected a path; received 3$"),
        ({"hidden_units": "8"}, "^hidden_units: expected a whole number, one or several; received '8'$"),
        ({"validation_size": "some"}, "^validation_size: expected a whole number or auto; received"),
        ({"summaries": ("scalars", "x")}, "^summaries: expected scalars, graphs, .*projector, one or"),
    ],
)
def test_a_setting_out_of_bounds_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Settings(**wrong)


@pytest.mark.parametrize(
    "images, size, held_out", [(60_000, "auto", 5000), (4000, "auto", 400), (60, 0, 0)]
)
def test_validation_images(images, size, held_out):
    assert Settings(validation_size=size).held_out(images) == held_out


def test_held_out_images_must_leave_a_batch():
    with pytest.raises(ValueError, match="fewer than the 100 training images; received 100"):
        Settings(validation_size=100).held_out(100)
    with pytest.raises(
        ValueError, match=r"at most the 60 training images .*40 are held out.*received 61"
    ):
        Settings(validation_size=40, batch_size=61).held_out(100)
