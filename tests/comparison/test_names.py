"""An object is imported by its name."""

import json
import re

import pytest

from kerasmlp.comparison.names import import_by_name


def test_a_name_gives_its_object():
    assert import_by_name("json:loads") is json.loads


@pytest.mark.parametrize("name", ["json", "json:", ":loads", "json:no", "no.such:thing"])
def test_a_wrong_name_is_an_error(name):
    with pytest.raises(ValueError, match=re.escape(name)):
        import_by_name(name)
