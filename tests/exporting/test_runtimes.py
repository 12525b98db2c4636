import base64
import gc
import json
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from helpers import python
from kerasmlp.exporting import runtimes, writers


def run_without_kerasmlp(format, path, images, folder):
    """The predictions of an export in a process that cannot import kerasmlp."""
    np.savez(folder / "inputs.npz", x=images)
    program = f"""
import runpy, sys
sys.modules["kerasmlp"] = None
sys.argv = ["", "{format}", "{path}", "inputs.npz", "out.npz"]
runpy.run_path("{runtimes.__file__}", run_name="__main__")
"""
    process = python("-P", "-c", program, cwd=folder)
    assert process.returncode == 0, process.stderr
    return np.load(folder / "out.npz")["arr_0"]


@pytest.mark.parametrize("format", ["litert", "litert-int8", "onnx"])
def test_an_export_runs_in_a_process_without_kerasmlp(format, exported, served, tmp_path):
    path, _ = exported[format]
    found = run_without_kerasmlp(format, path, served.x, tmp_path)
    expected = served.model.predict(served.x / np.float32(255), verbose=0)
    np.testing.assert_allclose(found, expected, atol=0.03 if format == "litert-int8" else 1e-5)


@pytest.mark.thorough
def test_a_savedmodel_runs_in_a_process_without_kerasmlp(served, tmp_path):
    path = tmp_path / "savedmodel"
    writers.write(served, "savedmodel", path)
    found = run_without_kerasmlp("savedmodel", path, served.x, tmp_path)
    expected = served.model.predict(served.x / np.float32(255), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("format", ["litert", "litert-int8", "onnx"])
def test_an_export_is_called_with_any_number_of_examples(format, exported, served):
    call = runtimes.RUNTIMES[format](str(exported[format][0]))
    allowed = 0.03 if format == "litert-int8" else 1e-5
    for count in (40, 1, 7):
        (found,) = call(served.x[:count])
        np.testing.assert_allclose(found, served.outputs[0][:count], atol=allowed)
    if format == "litert-int8":
        integers = np.rint(256 * found)
        np.testing.assert_array_equal(found, integers / np.float32(256))


def test_a_keras_file_is_called_after_the_import_of_its_classes(tmp_path, monkeypatch):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Rescaling(3.0)])
    model.save(tmp_path / "model.keras")
    (tmp_path / "classes_of_mine.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    call = runtimes.keras(str(tmp_path / "model.keras"), "classes_of_mine")
    assert "classes_of_mine" in sys.modules
    assert call(np.array([[1, 2]]))[0].tolist() == [[3, 6]]


def test_inputs_are_by_name_and_outputs_in_order():
    one, two = np.zeros(2), np.ones(2)
    assert runtimes.by_name(one, ["x"]) == {"x": one}
    assert runtimes.by_name({"b": one, "a": two}, ["a", "b"]) == {"b": one, "a": two}
    with pytest.raises(ValueError, match="zip"):
        runtimes.by_name(one, ["x", "y"])
    assert runtimes.in_order({"output_10": 10, "output_9": 9, "output_0": 0}) == [0, 9, 10]
    assert runtimes.in_order({"zz": 1, "aaa": 2, "output_0": 3}) == [2, 3, 1]


def test_some_of_the_examples_are_a_part():
    x = np.arange(5)
    assert runtimes.part(x, 1, 3).tolist() == [1, 2]
    named = runtimes.part({"a": x, "b": -x}, 3, 9)
    assert {name: array.tolist() for name, array in named.items()} == {"a": [3, 4], "b": [-3, -4]}
    assert (runtimes.size(x), runtimes.size({"a": x, "b": x})) == (5, 5)


@pytest.mark.parametrize("seconds, timed", [(2, 10), (20, 18)])
def test_calls_are_timed_ten_times_or_for_some_seconds(seconds, timed, monkeypatch):
    """By a clock on which the calls take 1, 3, 1, 1, ... seconds."""
    clock, calls = SimpleNamespace(now=100), []

    def call(inputs):
        calls.append(inputs)
        clock.now += 3 if len(calls) == 2 else 1

    monkeypatch.setattr(runtimes, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr(runtimes, "SECONDS", seconds)
    assert runtimes.milliseconds(call, "x") == 1000
    assert calls == ["x"] * (1 + timed), "with a warm-up"


def test_the_first_call_is_not_timed(monkeypatch):
    clock = SimpleNamespace(now=0)
    lengths = iter([50] + [1, 9] * 5)

    def call(inputs):
        clock.now += next(lengths)

    monkeypatch.setattr(runtimes, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr(runtimes, "SECONDS", 0)
    assert runtimes.milliseconds(call, None) == 5000


def ran(tmp_path, monkeypatch, call, **arrays):
    """What the script writes of a runtime, and the sizes of the calls."""
    sizes = []

    def counted(inputs):
        sizes.append(runtimes.size(inputs))
        return call(inputs)

    monkeypatch.setitem(runtimes.RUNTIMES, "onnx", lambda path, *module: counted)
    monkeypatch.setattr(runtimes, "milliseconds", lambda call, inputs: runtimes.size(call(inputs)[0]))
    np.savez(tmp_path / "inputs.npz", **arrays)
    try:
        runtimes.main("onnx", "export", str(tmp_path / "inputs.npz"), str(tmp_path / "output.npz"))
    finally:
        gc.enable()  # the script ends soon, and lets garbage be
    with np.load(tmp_path / "output.npz") as output:
        return dict(output), sizes


def test_all_examples_are_called_in_batches_of_a_thousand(tmp_path, monkeypatch):
    x = np.arange(2005.0)
    found, sizes = ran(tmp_path, monkeypatch, lambda x: [2 * x, -x], x=x)
    assert sizes == [1000, 1000, 5, 1, 1000]
    assert set(found) == {"arr_0", "arr_1", "milliseconds_1", "milliseconds_1000"}
    assert np.array_equal(found["arr_0"], 2 * x) and np.array_equal(found["arr_1"], -x)
    assert (found["milliseconds_1"], found["milliseconds_1000"]) == (1, 1000)


def test_inputs_have_the_names_after_the_slash(tmp_path, monkeypatch):
    x = np.arange(3.0)
    found, sizes = ran(tmp_path, monkeypatch, lambda x: [x["a"] - x["x"]], **{"x/a": 3 * x, "x/x": x})
    assert (sizes, found["arr_0"].tolist()) == ([3, 1, 3], [0, 2, 4])


class Page:
    """A page that answers by hand: images of two pixels, papers of two times two."""

    def __init__(self):
        self.asked = []

    def evaluate(self, script, given):
        self.asked.append(given)
        if isinstance(given, list):
            return [[0.25, 0.75]]
        return [2, base64.b64encode(bytes([0, 1, 2, given["ink"]])).decode(), [given["ink"], 0.5]]


@pytest.mark.parametrize("images", [np.array([[[0], [51]]], np.uint8), np.array([[[0], [0.2]]])])
def test_a_page_is_given_the_pixels_as_floats(images):
    page = Page()
    (found,) = runtimes.Page(page)(images)
    assert (found.tolist(), found.dtype) == ([[0.25, 0.75]], np.float32)
    ((text, size),) = page.asked
    assert size == 2
    assert np.frombuffer(base64.b64decode(text), "<f4").tolist() == pytest.approx([0, 0.2])


def test_a_page_draws_digits_and_reads_them(tmp_path, monkeypatch):
    found = runtimes.Page(Page()).drawn([{"ink": 3}, {"ink": 200}])
    assert found["pictures"].tolist() == [[[0, 1], [2, 3]], [[0, 1], [2, 200]]]
    assert found["drawn"].tolist() == [[3, 0.5], [200, 0.5]]


def test_the_strokes_of_digits_are_drawn_on_the_page(tmp_path, monkeypatch):
    page = runtimes.Page(Page())
    monkeypatch.setitem(runtimes.RUNTIMES, "html", lambda path: page)
    monkeypatch.setattr(runtimes, "SECONDS", 0)
    x, strokes = np.zeros((1, 2, 1), np.uint8), json.dumps([{"ink": 7}])
    np.savez(tmp_path / "inputs.npz", x=x, strokes=strokes)
    try:
        runtimes.main("html", "page", str(tmp_path / "inputs.npz"), str(tmp_path / "output.npz"))
    finally:
        gc.enable()
    with np.load(tmp_path / "output.npz") as output:
        assert set(output) == {"arr_0", "milliseconds_1", "milliseconds_1000", "pictures", "drawn"}
        assert output["drawn"].tolist() == [[7, 0.5]]


def test_browsers_are_tried_in_turn(tmp_path, monkeypatch):
    for name in ("chrome", "microsoft-edge"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    paths = [{"executable_path": str(tmp_path / name)} for name in ("chrome", "microsoft-edge")]
    ways = [{}, {"channel": "chrome"}, {"channel": "msedge"}, *paths]
    for chosen in (0, 2, 4):
        tried = []

        def launch(tried=tried, chosen=chosen, **options):
            tried.append(options)
            if len(tried) <= chosen:
                raise OSError("there is none")
            return "browser"

        playwright = SimpleNamespace(chromium=SimpleNamespace(launch=launch))
        assert runtimes.chromium(playwright, headless=True) == "browser"
        assert tried == [{**way, "headless": True} for way in ways[: chosen + 1]]
    none = SimpleNamespace(chromium=None)
    with pytest.raises(
        runtimes.UnavailableError, match="no Chromium, Chrome or Edge; pip install playw"
    ):
        runtimes.chromium(none)


def test_a_page_is_opened_without_a_network(tmp_path, monkeypatch):
    opened = []
    page = SimpleNamespace(goto=opened.append)

    def new_context(**options):
        opened.append(options)
        return SimpleNamespace(new_page=lambda: page)

    launched = SimpleNamespace(new_context=new_context)
    started = SimpleNamespace(chromium=SimpleNamespace(launch=lambda: launched))
    module = SimpleNamespace(sync_playwright=lambda: SimpleNamespace(start=lambda: started))
    monkeypatch.setitem(sys.modules, "playwright", SimpleNamespace(sync_api=module))
    monkeypatch.setitem(sys.modules, "playwright.sync_api", module)
    monkeypatch.chdir(tmp_path)
    assert runtimes.html("model.html").page is page
    assert opened == [{"offline": True}, (tmp_path / "model.html").as_uri()]


def test_without_playwright_the_status_is_69(tmp_path):
    np.savez(tmp_path / "inputs.npz", x=np.zeros((1, 6, 6, 1)))
    (tmp_path / "playwright.py").touch()  # it has no `sync_api`
    arguments = "html", "page.html", "inputs.npz", "output.npz"
    ended = python(runtimes.__file__, *arguments, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    said = f"Playwright is not installed; {runtimes.HOW_TO_GET_A_BROWSER}\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (69, "", said)
