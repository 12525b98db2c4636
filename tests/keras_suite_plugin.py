"""A plugin of pytest: `model.fit` is `kerasmlp.fit`, and the results are written as JSON.

The variable `KERAS_SUITE` names a JSON file, which `keras_suite.py` writes:

    loop: the loop of `kerasmlp.fit`; null for Keras' own `fit`.
    program: whether models are compiled for the program, where a test does not say otherwise.
    only: the tests to run; null for all.
    results: the file for the results: for each test its outcome, whether it called `fit`, and its error.
"""

import functools
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest

import kerasmlp

PROGRAM = {"jit_compile": True, "steps_per_execution": 2}

_suite = json.loads(Path(os.environ["KERAS_SUITE"]).read_text())
_calls: list[int] = []
_within: list[object] = []
_found: dict[str, dict] = {}


def _replace(name, replaced):
    """Replace a method where it is defined: models inherit it, also those that are no `keras.Model`."""
    owner = next(base for base in keras.Model.__mro__ if name in vars(base))
    setattr(owner, name, replaced(getattr(owner, name)))


def _by_loop(keras_fit):
    @functools.wraps(keras_fit)
    def fit(model, *arguments, **named):
        _calls.append(1)
        if _suite["loop"] is None or _within:  # the loop `fit` calls Keras' own
            return keras_fit(model, *arguments, **named)
        _within.append(model)
        try:
            return kerasmlp.fit(model, *arguments, loop=_suite["loop"], run=None, **named)
        finally:
            _within.pop()

    return fit


def _for_program(keras_compile):
    @functools.wraps(keras_compile)
    def compile_for_program(model, *arguments, **named):
        if len(arguments) <= 5 and not named.get("run_eagerly"):
            named = PROGRAM | named
        return keras_compile(model, *arguments, **named)

    return compile_for_program


def _skip_if_backend(backend, reason):
    return pytest.mark.skipif(keras.backend.backend() == backend, reason=reason)


# What Keras' tests import from a file that its package lacks.
sys.modules["conftest"] = SimpleNamespace(skip_if_backend=_skip_if_backend)
_replace("fit", _by_loop)
if _suite["program"]:
    _replace("compile", _for_program)


def pytest_collection_modifyitems(config, items):
    if _suite["only"] is not None:
        only = set(_suite["only"])
        items[:] = [item for item in items if item.nodeid in only]


def pytest_collectreport(report):
    if report.failed:
        lines = str(report.longrepr).strip().splitlines()
        _found[report.nodeid] = {"outcome": "not collected", "error": lines[-1]}


def pytest_runtest_setup(item):
    _calls.clear()


def pytest_runtest_teardown(item):
    item.user_properties.append(("fit", bool(_calls)))


def pytest_runtest_logreport(report):
    if report.when == "teardown":
        test = _found.setdefault(report.nodeid, {"outcome": "failed", "error": "it did not run"})
        test["fit"] = dict(report.user_properties).get("fit", False)
    if report.when == "call" or report.outcome != "passed":
        crash = getattr(report.longrepr, "reprcrash", None)
        error = " ".join((crash.message if crash else str(report.longrepr)).split())
        _found[report.nodeid] = {"outcome": report.outcome, "error": error}


def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):  # the process that hears from all workers
        Path(_suite["results"]).write_text(json.dumps(_found))
