"""The page on which one draws a digit: what is in the file."""

import base64
import dataclasses
import html.parser
import importlib.metadata
import importlib.util
import json
from pathlib import Path

import keras
import numpy as np
import pytest

import kerasmlp
from kerasmlp.export import main
from kerasmlp.exporting import FormatError, page
from kerasmlp.exporting.formats import FILES
from kerasmlp.exporting.runtimes import HOW_TO_GET_A_BROWSER
from kerasmlp.models.quantization import rounded

TEMPLATE = Path(page.__file__).parent / "page"


class Scripts(html.parser.HTMLParser):
    """The scripts of a page, and the names of all its elements, as a browser reads them."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.tags, self.addresses = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        if self.tags[-1:] == ["script"] and data.strip():
            self.scripts.append(data)


def written(served, tmp_path):
    path = tmp_path / "model.html"
    page.write_page(served, path)
    return path.read_text("utf-8")


def content(text):
    return json.loads(Scripts(text).scripts[0])


def layers(text):
    """The kernel and the bias of each layer in a page."""
    for layer in content(text)["layers"]:
        bias, kernel = (
            np.frombuffer(base64.b64decode(layer[name]), "<f4") for name in ("bias", "kernel")
        )
        yield kernel.reshape(-1, layer["units"])
        yield bias


def of_mlp(served, shape=(6, 6, 1), **kwargs):
    """Another model in the place of the one that is served."""
    keras.utils.set_random_seed(2)
    model = kerasmlp.MLP(**kwargs)
    model.build((None, *shape))
    labels = served.labels[:2]
    outputs = [np.eye(model.classes, dtype=np.float32)[labels]]
    x = np.zeros((2, *shape), np.uint8)
    return dataclasses.replace(served, model=model, outputs=outputs, labels=labels, x=x)


@pytest.mark.parametrize("hidden_units", [(), (7,), (7, 4)])
def test_the_page_has_the_weights_of_the_model(hidden_units, served, tmp_path):
    other = of_mlp(served, hidden_units=hidden_units, classes=3)
    found = list(layers(written(other, tmp_path)))
    for array, variable in zip(found, other.model.trainable_variables, strict=True):
        np.testing.assert_array_equal(array, variable)


def test_a_quantized_model_has_its_rounded_weights(served, tmp_path):
    other = of_mlp(served, hidden_units=(7,), classes=3, quantize="int4")
    kernel, _, head, _ = layers(written(other, tmp_path))
    for array, layer in ((kernel, other.model.hidden[0]), (head, other.model.head)):
        np.testing.assert_array_equal(array, rounded(layer.kernel, 4))
        assert not np.array_equal(array, layer.kernel)


def test_the_page_has_test_images_and_what_is_known_of_the_model(served, tmp_path):
    found = content(written(served, tmp_path))
    expected = served.outputs[0].argmax(axis=1)
    assert found["accuracy"] == np.mean(expected == served.labels)
    assert (found["images"], found["height"], found["width"]) == (40, 6, 6)
    assert (found["run"], found["data"]) == (served.run, "digits.npz")  # and no folder of the user's
    wrong = np.flatnonzero(expected != served.labels)[: page.WRONG]
    firsts = [np.flatnonzero(served.labels == label)[0] for label in range(3)]
    chosen = list(dict.fromkeys([*firsts, *wrong]))
    assert [example["label"] for example in found["examples"]] == served.labels[chosen].tolist()
    for example, number in zip(found["examples"], chosen, strict=True):
        pixels = np.frombuffer(base64.b64decode(example["pixels"]), np.uint8)
        np.testing.assert_array_equal(pixels, served.x[number].ravel())


def test_the_handbooks_model_is_a_small_file_that_asks_no_server(served, tmp_path):
    text = written(of_mlp(served, (28, 28, 1)), tmp_path)
    assert len(text.encode()) < 600_000
    assert set(Scripts(text).addresses) == {"data:,"}
    assert "default-src 'none'" in text
    assert "http://" not in text and "https://" not in text


def test_everything_of_the_template_is_in_the_page(served, tmp_path):
    text = written(served, tmp_path)
    for path in TEMPLATE.iterdir():
        if path.suffix != ".html":
            assert path.read_text("utf-8") in text


@pytest.mark.parametrize(
    "name",
    [
        "</script><script>alert(1)</script>",
        "<!--<script>",
        "<img src=x onerror=alert(1)>",
        "\u2028'\"&lt;",
    ],
)
def test_a_name_cannot_become_code(name, served, tmp_path):
    plain = written(dataclasses.replace(served, run="mine", data="data"), tmp_path)
    hostile = written(dataclasses.replace(served, run=name, data=f"x\\{name}"), tmp_path)
    assert Scripts(hostile).tags == Scripts(plain).tags
    assert len(Scripts(hostile).scripts) == len(Scripts(plain).scripts)
    assert content(hostile)["run"] == name


def test_other_models_are_refused(served, tmp_path):
    sequential = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten()])
    for other, said in (
        (dataclasses.replace(served, model=sequential), r"this is Sequential .* \(6, 6, 1\)"),
        (of_mlp(served, (6, 6, 3), classes=3), r"on grey images, .* this is MLP .* \(6, 6, 3\)"),
    ):
        with pytest.raises(FormatError, match=rf"html: this format cannot hold .*{said}"):
            page.write_page(other, tmp_path / "model.html")
    assert not list(tmp_path.iterdir())


def test_without_a_browser_the_page_is_kept_and_the_report_says_so(
    finished, tmp_path, monkeypatch, capsys
):
    (run, _), _ = finished
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    assert main([str(run), "--format", "html", "--output", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    no_browser, no_playwright = "there is no Chromium, Chrome or Edge", "Playwright is not installed"
    why = no_browser if importlib.util.find_spec("playwright") else no_playwright
    assert f"html: not checked: {why}; {HOW_TO_GET_A_BROWSER}\n" in out
    path = tmp_path / "out" / FILES["html"]
    report = json.loads((tmp_path / "out/model.html.json").read_text())
    assert report["bytes"] == path.stat().st_size
    assert report["not_checked"].endswith(HOW_TO_GET_A_BROWSER)
    assert "largest_difference" not in report


def test_the_page_of_wide_images_has_their_height_and_width(served, tmp_path):
    found = content(written(of_mlp(served, (4, 9, 1), classes=3), tmp_path))
    assert (found["height"], found["width"]) == (4, 9)
    assert found["version"] == importlib.metadata.version("kerasmlp")


def test_the_first_of_twenty_classes_and_ten_that_are_wrong_are_shown():
    labels = np.arange(60) % 25
    assert page._chosen(labels, labels) == list(range(20))
    by_model = np.where(np.arange(60) % 2 == 1, -1, labels)
    assert page._chosen(labels, by_model) == list(range(20))  # the ten are among them
    by_model = np.where(np.arange(60) < 30, labels, -1)
    assert page._chosen(labels, by_model) == [*range(20), *range(30, 40)]


def test_images_are_bytes_or_become_bytes():
    image = np.array([[0, 77, 255]], np.uint8)
    assert page._bytes(image) is image
    found = page._bytes(np.array([-1, 0, 0.3, 1, 2]))
    assert (found.tolist(), found.dtype) == ([0, 0, 76, 255, 255], np.uint8)


def test_a_model_of_named_inputs_or_of_numbers_has_no_page(served, tmp_path):
    for other in (
        dataclasses.replace(served, x={"a": served.x}),
        dataclasses.replace(served, labels=None),
    ):
        with pytest.raises(FormatError, match=r"html: .*this is MLP on inputs (by name|of shape)"):
            page.write_page(other, tmp_path / "model.html")
    flat = dataclasses.replace(served, x=served.x[..., 0])
    with pytest.raises(FormatError, match=r"inputs of shape \(6, 6\)"):
        page.write_page(flat, tmp_path / "model.html")
