"""What is needed of Keras under private names is looked for when it is imported."""

import re
import runpy
from pathlib import Path

import keras
import pytest

from helpers import compiled
from kerasmlp import keras_internals
from small_models import dense

SOURCE = Path(keras_internals.__file__)


@pytest.mark.parametrize("name", ["_compute_loss", "_flatten_layers"])
def test_a_keras_without_a_name_is_refused_at_import_in_one_line(name, monkeypatch):
    owner = next(base for base in keras.Model.__mro__ if name in vars(base))
    monkeypatch.delattr(owner, name)
    with pytest.raises(ImportError) as caught:
        runpy.run_path(str(SOURCE))
    assert str(caught.value) == (
        f"expected Keras 3.15, whose models have `{name}`; received Keras {keras.__version__}:"
        ' pip install "keras==3.15.*"'
    )


def test_every_name_of_models_that_is_used_is_looked_for():
    used = re.findall(r"\bmodel\.(_\w+)", SOURCE.read_text(encoding="utf-8"))
    assert set(used) == set(keras_internals.OF_MODELS)


def test_the_version_is_the_one_that_is_installed_with_this_package():
    asked = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"keras>={keras_internals.VERSION},<' in asked


def test_the_check_takes_no_name_from_a_model():
    keras.utils.clear_session(free_memory=False)
    keras_internals.check()
    assert keras.Model().name == "model"


def test_an_object_without_a_private_name_is_named_by_its_class():
    with pytest.raises(ImportError, match="whose objects of Adam have `_none`; received"):
        keras_internals.private(keras.optimizers.Adam(), "_none")


def test_a_schedule_is_told_from_a_rate():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    assert keras_internals.follows_schedule(keras.optimizers.Adam(schedule))
    assert not keras_internals.follows_schedule(compiled(dense).optimizer)
