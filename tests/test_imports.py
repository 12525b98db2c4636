"""The layers of the packages, and what a package shows to the others."""

import re
from pathlib import Path

import pytest

import kerasmlp
from helpers import python

ROOT = Path(__file__).parents[1]
SOURCE = Path(kerasmlp.__file__).parent


def exported(stub, module):
    """The names that a stub exports from the modules that match."""
    imports = re.findall(rf"^from {module} import (\([^)]*\)|.+)$", stub, re.MULTILINE)
    return re.findall(r"(\w+) as \1\b", " ".join(imports))


def test_packages_import_only_from_the_layers_below_them():
    linter = pytest.importorskip("importlinter.cli")
    assert linter.lint_imports(str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True) == 0


def test_modules_are_imported_from_other_packages_only_if_their_package_shows_them():
    grimp = pytest.importorskip("grimp")
    graph = grimp.build_graph("kerasmlp", cache_dir=None)
    edges = graph.find_matching_direct_imports(import_expression="kerasmlp.** -> kerasmlp.*.*")
    assert len(edges) > 100
    for edge in edges:
        _, package, module = edge["imported"].split(".")
        if edge["importer"].split(".")[1] != package:
            shown = (SOURCE / package / "__init__.pyi").read_text(encoding="utf-8")
            assert module in exported(shown, r"\."), edge


def test_all_names_that_packages_show_can_be_imported():
    for face in SOURCE.rglob("__init__.pyi"):
        package = ".".join(["kerasmlp", *face.parent.relative_to(SOURCE).parts])
        names = exported(face.read_text(encoding="utf-8"), r"\.\w*")
        assert names
        module = __import__(package, fromlist=names)
        for name in names:
            assert hasattr(module, name), f"{package}.{name}"
            assert name in dir(module)


def test_no_name_that_a_package_shows_is_that_of_a_module_in_it():
    """The import of the module would take its place in the package, with lazy-loader before 0.6."""
    for face in SOURCE.rglob("__init__.pyi"):
        modules = {path.stem for path in face.parent.glob("*.py")}
        assert not modules.intersection(exported(face.read_text(encoding="utf-8"), r"\.\w+")), face


def test_the_package_the_settings_and_the_help_import_no_tensorflow():
    program = """
import sys
import kerasmlp, kerasmlp.__main__, kerasmlp.compare, kerasmlp.train
kerasmlp.Settings()
try:
    kerasmlp.train.main(["--help"])
except SystemExit as exit:
    assert exit.code == 0, exit.code
assert not {"tensorflow", "keras", "numpy"} & set(sys.modules)
"""
    done = python("-c", program)
    assert done.returncode == 0, done.stderr
    assert "--steps-per-execution INT" in done.stdout


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    assert not hasattr(kerasmlp, "nonsense")
    assert kerasmlp.MLP.__name__ == "MLP"
