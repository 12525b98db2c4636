import dataclasses
import inspect
import math
from pathlib import Path

import numpy as np
import pytest

from kerasmlp import Settings
from kerasmlp.runs import run_folder
from kerasmlp.runs.fields import FRACTION, POSITIVE, SEED, at_least, between, none_or
from kerasmlp.runs.fit_settings import FitSettings
from kerasmlp.runs.recipes import RECIPES
from kerasmlp.runs.repetition import Repetition
from kerasmlp.runs.run_settings import RunSettings
from kerasmlp.runs.settings import OF_THE_MLP


def test_the_defaults_are_the_handbooks_hyper_parameters():
    settings = Settings()
    assert (settings.ema_momentum, settings.schedule, settings.weight_decay) == (0, "constant", 0)
    assert (settings.epochs, settings.batch_size, settings.learning_rate) == (5, 50, 0.001)
    assert (settings.hidden_units, settings.loop, settings.data) == ((100,), "fit", "auto")
    assert (settings.seed, settings.validation_size, settings.sampling) == (0, "auto", "shuffle")
    assert (settings.checkpoint_every, settings.keep_checkpoints) == ("1epoch", 3)
    assert (settings.logical_cpus, Repetition().seeds, Repetition().jobs) == (1, 5, 1)
    names = "resume", "profile", "verbose", "transpose", "early_stopping", "reduce_lr", "affine"
    names += "translation", "elastic"
    assert not any(getattr(settings, name) for name in names)


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


def test_a_recipe_stays_what_its_results_were_measured_with():
    def values(recipe, names):
        settings = Settings(recipe=recipe)
        return [getattr(settings, name) for name in names.split()]

    names = "epochs batch_size learning_rate schedule validation_size ema_momentum sampling"
    assert values("quick", names) == [10, 200, 0.015, "cosine", 0, 0, "shuffle"]
    assert values("accurate", names) == [400, 500, 0.01, "cosine", 0, 0.99, "shuffle"]
    assert values("handbook", names) == [5, 50, 0.001, "constant", 0, 0, "replacement"]
    assert values("accurate", "affine translation elastic") == [0.15, 0.8, 0.8]


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
        ({"name": ""}, "^name: "),
        ({"name": "."}, "^name: "),
        ({"checkpoint_every": "0epochs"}, "^checkpoint_every: expected a positive number and epoch"),
        ({"checkpoint_every": "30"}, "^checkpoint_every: "),
        ({"checkpoint_every": "1epoch2"}, "^checkpoint_every: "),
        ({"keep_checkpoints": 0}, "^keep_checkpoints: expected at least 1; received 0"),
        ({"early_stopping": -1}, "^early_stopping: expected at least 0; received -1"),
        ({"reduce_lr": -1}, "^reduce_lr: expected at least 0; received -1"),
        ({"reduce_lr": 1, "schedule": "cosine"}, "^reduce_lr: expected 0 with a schedule"),
        ({"logical_cpus": 0, "strategy": "mirrored"}, "^logical_cpus: expected at least 1; received 0"),
        ({"strategy": "mirrored", "loop": "eager"}, "^loop: expected fit or graph with a strategy"),
        ({"strategy": "mirrored", "jit_compile": True}, "^jit_compile: expected False with a strategy"),
        (
            {"strategy": "multiworker", "steps_per_execution": 2},
            "^steps_per_execution: expected 1 with the fit loop and the strategy multiworker",
        ),
        ({"model": "mine"}, "^model: expected package.module:name; received 'mine'"),
        ({"callbacks": "mine:"}, "^callbacks: expected package.module:name; received 'mine:'"),
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
    "bound, within, beyond",
    [
        (at_least(2), [2, 10**9], [1, math.inf, math.nan]),
        (between(1, 3), [1, 3], [0.999, 3.001, math.nan]),
        (none_or(between(1, 3)), [None, 1], [0]),
        (POSITIVE, [1e-9, 1e9], [0, -1, math.inf]),
        (FRACTION, [0, 0.999], [1, -1e-9]),
        (SEED, [0, 2**31 - 1], [-1, 2**31]),
    ],
)
def test_the_ends_of_a_bound(bound, within, beyond):
    assert [value for value in (*within, *beyond) if bound.holds(value)] == within


@pytest.mark.parametrize(
    "given",
    [
        {"keep_checkpoints": 1, "hidden_units": 1, "batch_size": 1, "epochs": 1},
        {"translation": 100, "elastic": 0, "affine": 0, "validation_size": 0},
        {"reduce_lr": 1, "early_stopping": 1},
        {"schedule": "cosine"},
        {"loop": "eager", "jit_compile": False, "steps_per_execution": 1},
        {"strategy": "mirrored", "logical_cpus": 2, "steps_per_execution": 3},
        {"strategy": "multiworker", "loop": "graph", "steps_per_execution": 2},
        {"strategy": "multiworker", "steps_per_execution": 1},
        {"model": "mine:make", "callbacks": "mine:heard", "epochs": 3},
        {"name": "a.b", "resume": True},
    ],
)
def test_what_is_allowed_is_taken(given):
    settings = Settings(**given)
    taken = {name: getattr(settings, name) for name in given}
    assert taken == given | ({"hidden_units": (1,)} if "hidden_units" in given else {})


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"epochs": -1}, "^epochs: expected at least 0"),
        ({"batch_size": 0}, "^batch_size: expected at least 1"),
        ({"initial_epoch": -1}, "^initial_epoch: expected at least 0"),
        ({"steps_per_epoch": 0}, "^steps_per_epoch: expected None or at least 1"),
        ({"validation_steps": 0}, "^validation_steps: expected None or at least 1"),
        ({"validation_batch_size": 0}, "^validation_batch_size: expected None or at least 1"),
        ({"validation_split": 1.0}, "^validation_split: expected 0 or a number below 1"),
        ({"validation_freq": 0}, "^validation_freq: expected a number, or a list of epochs"),
        ({"validation_freq": [2, 0]}, "^validation_freq: expected a number, or a list of epochs"),
        ({"steps_per_execution": 0}, "^steps_per_execution: expected None or auto or a number from 1"),
    ],
)
def test_an_argument_of_fit_out_of_bounds_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        FitSettings(**wrong)


@pytest.mark.parametrize("kind", [RunSettings, FitSettings, Settings])
def test_settings_are_given_by_their_names(kind):
    with pytest.raises(TypeError, match="positional"):
        kind("graph")
    fields = [field.name for field in dataclasses.fields(kind)]
    assert set(inspect.signature(kind).parameters) >= set(fields)


def test_arguments_of_fit_at_their_bounds_are_taken():
    least = {"epochs": 0, "batch_size": 1, "initial_epoch": 0, "validation_split": 0.0}
    least |= dict.fromkeys(
        ["steps_per_epoch", "validation_steps", "validation_batch_size", "steps_per_execution"], 1
    )
    taken = dataclasses.asdict(FitSettings(**least, validation_freq=[2, 1]))
    assert {name: taken[name] for name in least} == least
    assert taken["validation_freq"] == (2, 1)


@pytest.mark.parametrize(
    "images, size, held_out",
    [(60_000, "auto", 5000), (49_999, "auto", 4999), (4000, "auto", 400), (60, 0, 0), (100, 50, 50)],
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
    assert Settings(validation_size=40, batch_size=60).held_out(100) == 40
    assert Settings(validation_size=99, batch_size=1).held_out(100) == 99


@pytest.mark.parametrize(
    "kind, given, chosen",
    [
        (Settings, {}, {}),
        (Settings, {"recipe": "handbook"}, {"recipe": "handbook"}),
        (Settings, {"recipe": "quick", "epochs": 3}, {"recipe": "quick", "epochs": 3}),
        (Settings, {"strategy": "mirrored", "logical_cpus": 2}, {"strategy": "mirrored"}),
        (Settings, {"loop": "eager", "seed": 3}, {"seed": 3}),
        (Settings, {"data": "x.npz", "verbose": True, "name": "x", "summaries": ()}, {}),
        (Settings, {"hidden_units": 9, "affine": 0.1}, {"hidden_units": (9,), "affine": 0.1}),
        (Repetition, {"seeds": 3, "jobs": 2, "epochs": 2}, {"epochs": 2}),
        (FitSettings, {"epochs": 3, "shuffle": False}, {"epochs": 3, "shuffle": False}),
    ],
)
def test_what_is_chosen_is_what_differs_from_the_defaults(kind, given, chosen):
    assert kind(**given).chosen() == chosen


@pytest.mark.parametrize(
    "every, interval",
    [
        ("1epoch", (1, "epoch")),
        ("20epochs", (20, "epoch")),
        ("1step", (1, "step")),
        ("5steps", (5, "step")),
        ("30s", (30, "s")),
        ("999999999s", (999_999_999, "s")),
    ],
)
def test_an_interval_is_a_number_and_a_unit(every, interval):
    assert Settings(checkpoint_every=every).checkpoint_interval == interval


@pytest.mark.parametrize("name", OF_THE_MLP)
def test_a_model_of_the_user_takes_no_setting_of_the_mlp(name):
    given = {"schedule": "cosine", "quantize": "int8", "recipe": "handbook", "hidden_units": 7}
    flag = name.replace("_", "-")
    with pytest.raises(ValueError, match=f"^{name}: expected no --{flag} with --model"):
        Settings(model="mine:make", **{name: given.get(name, 0.5)})


@pytest.fixture
def begun(tmp_path):
    """Writes the settings of a run, as if it had begun; returns what resumes it with other settings."""

    def begun(kind=Settings, **given):
        settings = kind(logdir=tmp_path, name="mine", **given)
        (tmp_path / "mine").mkdir()
        unnamed = dataclasses.replace(settings, name=None)  # as a run is that was given no name
        run_folder.write_json(tmp_path / "mine" / run_folder.SETTINGS, unnamed)
        return lambda **other: dataclasses.replace(settings, resume=True, **other).resumed_folder()

    return begun


def test_a_run_is_resumed_in_its_folder(begun, tmp_path, capsys):
    resumed = begun(epochs=2)
    assert resumed() == tmp_path / "mine"
    other = {"epochs": 3, "loop": "graph", "verbose": True, "summaries": (), "profile": True}
    other |= {"checkpoint_every": "5steps", "keep_checkpoints": 1, "jit_compile": False, "data": "x"}
    other |= {"steps_per_execution": 2, "strategy": "mirrored", "logical_cpus": 2, "transpose": True}
    assert resumed(**other) == tmp_path / "mine"
    assert capsys.readouterr().err == ""
    assert Settings(logdir=tmp_path, name="mine").resumed_folder() is None


@pytest.mark.parametrize(
    "other, message",
    [
        ({"seed": 1}, "^seed: expected 0, as when the run was begun; received 1$"),
        ({"learning_rate": 1.0}, "^learning_rate: expected 0.001, as when the run was begun"),
        ({"sampling": "replacement"}, "^sampling: expected 'shuffle', as when the run was begun"),
    ],
)
def test_a_resumed_run_has_the_settings_that_it_had(other, message, begun):
    resumed = begun()
    with pytest.raises(ValueError, match=message):
        resumed(**other)


def test_a_cosine_schedule_is_not_resumed_with_other_epochs(begun, tmp_path):
    resumed = begun(schedule="cosine", epochs=4)
    assert resumed() == tmp_path / "mine"
    with pytest.raises(ValueError, match=r"^epochs: expected 4, as when the run was begun; received 3$"):
        resumed(epochs=3)


def test_a_run_of_fit_is_resumed_with_other_epochs_and_validation(begun, tmp_path):
    resumed = begun(FitSettings)
    other = {"validation_freq": 2, "validation_steps": 1, "validation_batch_size": 2}
    assert resumed(epochs=9, steps_per_execution=3, **other) == tmp_path / "mine"
    with pytest.raises(ValueError, match=r"^shuffle: expected True, as when the run was begun"):
        resumed(shuffle=False)
    with pytest.raises(ValueError, match=r"^run: expected a new folder, .*mine"):
        resumed(loop="a loop of mine")


def test_a_run_to_resume_that_there_is_not_begins_with_a_note(begun, tmp_path, capsys):
    other = Settings(logdir=tmp_path, name="other", resume=True)
    assert other.resumed_folder() is None
    begins = f"there is no run {tmp_path / 'other'} yet: it begins now"
    assert capsys.readouterr().err == f"{begins}\n"
    begun()
    assert other.resumed_folder() is None
    assert capsys.readouterr().err == f"{begins}; the newest run is called 'mine'\n"


def test_flags_that_decide_start_from_their_defaults(begun, tmp_path, monkeypatch):
    assert Settings.starting_from({}) == Settings()
    chosen = {"recipe": "quick", "loop": "eager", "logdir": str(tmp_path)}
    assert Settings.starting_from(chosen) == Settings(recipe="quick", loop="eager")
    saved = {"epochs": 7, "loop": "graph", "profile": True, "steps_per_execution": 4, "recipe": "quick"}
    begun(**saved)
    mine = {"name": "mine", "logdir": str(tmp_path)}
    assert Settings.starting_from(mine) == Settings()  # a new run of that name
    assert Settings.starting_from({**mine, "name": "no", "resume": ()}) == Settings()
    resumed = {"logdir": tmp_path, "name": "mine", "resume": True}
    again = Settings(**{**saved, **resumed, "profile": False})
    assert Settings.starting_from({**mine, "resume": ()}) == again
    assert Settings.starting_from({**mine, "resume": (), "loop": "graph"}) == again
    monkeypatch.chdir(tmp_path)
    run_folder.LOGS.symlink_to(tmp_path)
    assert Settings.starting_from({"name": "mine", "resume": ()}) == again
    eager = {"loop": "eager", "jit_compile": False, "steps_per_execution": 1}
    given = {**mine, "resume": (), "loop": "eager"}
    assert Settings.starting_from(given) == dataclasses.replace(again, **eager)
    mirrored = {"strategy": "mirrored", "jit_compile": False, "steps_per_execution": "auto"}
    given = {**mine, "resume": (), "strategy": "mirrored"}
    assert Settings.starting_from(given) == dataclasses.replace(again, **mirrored)
