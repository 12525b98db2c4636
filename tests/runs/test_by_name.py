"""What a name of the user's stands for, `package.module:name`."""

import json
import re

import keras
import pytest

from helpers import compiled
from kerasmlp.runs.by_name import NAME, import_by_name, listed, new_callbacks, new_model
from small_models import dense


def makes_a_model():
    return compiled(dense)


def makes_callbacks():
    return [keras.callbacks.TerminateOnNaN()]


def makes_nothing():
    return None


def fails():
    raise RuntimeError("no table")


def is_not_compiled():
    return keras.Sequential([keras.layers.Dense(1)])


def has_no_optimizer():
    model = compiled(dense)
    model.optimizer = None
    return model


@pytest.mark.parametrize(
    "name, is_name",
    [(None, True), ("a.b:c", True), ("a", False), ("a:", False), (":a", False), ("a: ", False)],
)
def test_a_name_has_a_module_and_what_is_in_it(name, is_name):
    assert NAME.holds(name) == is_name


def test_callbacks_are_a_list_or_one():
    one, other = keras.callbacks.TerminateOnNaN(), keras.callbacks.Callback()
    assert listed(one, "") == listed([one], "") == [one]
    assert listed((one, other), "") == [one, other]
    with pytest.raises(ValueError, match=r"^x: expected one; received 3$"):
        listed([one, 3], "x: expected one")


def test_a_name_gives_its_object():
    assert import_by_name("json:loads") is json.loads


@pytest.mark.parametrize(
    "name, message",
    [
        ("json", "expected package.module:name; received 'json'"),
        ("json:", "expected package.module:name; received 'json:'"),
        (":loads", "expected package.module:name; received ':loads'"),
        ("json:no", "json:no: the module json has no 'no'"),
        (
            "no.such:thing",
            "no.such:thing: the module cannot be imported: ModuleNotFoundError: No module",
        ),
    ],
)
def test_a_wrong_name_is_an_error(name, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        import_by_name(name)


def test_functions_make_models_and_callbacks():
    assert (
        new_model(f"{__name__}:makes_a_model").count_params() == new_model(makes_a_model).count_params()
    )
    assert isinstance(new_callbacks(f"{__name__}:makes_callbacks")[0], keras.callbacks.TerminateOnNaN)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("makes_nothing", "expected a compiled keras.Model; received NoneType"),
        ("is_not_compiled", r"received one without compile\(\)"),
        ("has_no_optimizer", r"received one without compile\(\)"),
        ("fails", "it raised RuntimeError: no table"),
        ("json", "expected a function without arguments"),
    ],
)
def test_what_makes_no_model_is_an_error(name, message):
    with pytest.raises(ValueError, match=f"^{__name__}:{name}: .*{message}"):
        new_model(f"{__name__}:{name}")


def test_what_makes_no_callbacks_is_an_error():
    with pytest.raises(ValueError, match="expected a list of keras callbacks; received None"):
        new_callbacks(f"{__name__}:makes_nothing")
