"""The page on which one draws a digit, in a real browser: driven by mouse, finger and keyboard."""

import contextlib
import dataclasses
import itertools
import json
import re

import numpy as np
import pytest

import browser
from kerasmlp import photos
from kerasmlp.export import main
from kerasmlp.exporting import Served, drawn, page, runtimes, write_checked
from kerasmlp.exporting.strokes import SIDE, drawn_digits
from kerasmlp.runs.settings import Settings
from kerasmlp.train import train

if browser.CHROMIUM is None:
    pytest.skip("there is no Chromium", allow_module_level=True)

pytestmark = pytest.mark.thorough

SEVEN = drawn_digits(8, seed=3)[0][7]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model with two hidden layers, which reads most digits."""
    logdir = tmp_path_factory.mktemp("page")
    plain = {"summaries": (), "validation_size": 0, "epochs": 8}
    folder, _ = train(Settings(data="mnist5k", hidden_units=(60, 30), logdir=logdir, **plain))
    return Served.of_run(folder)


@pytest.fixture(scope="module")
def exported(served, tmp_path_factory):
    return write_checked(served, "html", tmp_path_factory.mktemp("exported"))


@pytest.fixture
def opened(exported):
    with window(exported[0], locale="en-US", has_touch=True) as shown:
        yield shown


@contextlib.contextmanager
def window(path, **context):
    """The page in a new window, which must ask for nothing and say nothing of an error."""
    errors, requests = [], []
    with browser.browser(**context) as shown:
        shown.on("pageerror", lambda error: errors.append(str(error)))
        shown.on("console", lambda message: errors.append(message.text))
        shown.on("request", lambda request: requests.append(request.url))
        shown.goto(path.absolute().as_uri())
        yield shown
    assert errors == []
    assert {url.partition(":")[0] for url in requests} <= {"file", "data"}


def pixels(shown):
    """What the network sees; None for no image."""
    found = shown.evaluate("shown.pixels")
    return None if found is None else np.array(found).reshape(28, 28)


def label(shown):
    return shown.locator("#answer b").text_content()


def numbers(shown, selector):
    """The numbers in a table, row by row."""
    rows = shown.locator(f"{selector} tr:has(td)").all()
    read = r"(?<![\w.])-?\d+\.?\d*"
    return [
        [float(each) for each in re.findall(read, " ".join(row.locator("th, td").all_text_contents()))]
        for row in rows
    ]


def test_the_page_predicts_what_the_model_predicts(exported):
    path, report = exported
    assert report.examples == 1000
    assert report.equal_labels == 1
    assert report.largest_difference < 1e-5
    assert report.drawn_equal >= 98
    assert report.drawn_alike == report.drawn_certain > 50
    kept = json.loads(path.with_name("model.html.json").read_text())
    assert kept["drawn_equal"] == report.drawn_equal


def test_a_stroke_is_read_while_it_is_drawn(opened):
    assert pixels(opened) is None
    first, *others = browser.places(opened, SEVEN[0])
    opened.mouse.move(*first)
    opened.mouse.down()
    seen = []
    for place in others:
        opened.mouse.move(*place)
        seen.append(pixels(opened))
    assert any(not np.array_equal(one, other) for one, other in itertools.pairwise(seen))
    opened.mouse.up()
    assert label(opened) == "7"
    shares = opened.locator(".bar span:last-child").all_text_contents()
    assert sum(float(share.removesuffix("\u00a0%")) for share in shares) == pytest.approx(100, abs=0.5)
    widest = opened.locator(".bar i").evaluate_all("bars => bars.map(bar => bar.offsetWidth)")
    assert np.argmax(widest) == 7
    assert opened.get_by_role("status").first.text_content().startswith("It reads a 7, with")
    assert opened.get_by_role("button", name=re.compile("^digit 7: 9")).count() == 1


def test_the_image_is_that_of_mnist_in_size_and_place(opened):
    browser.draw(opened, SEVEN)
    image = pixels(opened)
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert image.max() == 1
    centre = [np.average(np.arange(28), weights=image.sum(axis=axis)) for axis in (1, 0)]
    np.testing.assert_allclose(centre, 14, atol=0.51)


def test_a_stroke_that_is_being_drawn_ends_when_something_else_is_put_on_the_paper(opened):
    browser.draw(opened, SEVEN)
    before = pixels(opened)
    first, second, *_ = browser.places(opened, SEVEN[0])
    for keys in ("z", "Delete", "Control+z"):
        opened.mouse.move(*first)
        opened.mouse.down()
        opened.mouse.move(*second)
        opened.keyboard.press(keys)
        after = pixels(opened)
        opened.mouse.move(*first)
        opened.mouse.up()
        np.testing.assert_array_equal(pixels(opened), after)
        if keys == "Delete":
            assert after is None
            for _ in range(2):
                opened.keyboard.press("z")
        np.testing.assert_array_equal(pixels(opened), before)
    opened.keyboard.press(" ")
    opened.locator("#examples button").first.click()
    example = pixels(opened)
    opened.locator("#paper").focus()
    opened.keyboard.press("ArrowDown")  # the pen is up
    np.testing.assert_array_equal(pixels(opened), example)


def test_what_is_beside_the_paper_is_not_drawn(opened):
    box = opened.locator("#paper").bounding_box()
    opened.mouse.move(box["x"] + 100, box["y"] + 100)
    opened.mouse.down()
    opened.mouse.move(box["x"] + 3000, box["y"] + 120)
    opened.mouse.up()
    (stroke,) = opened.evaluate("drawn.strokes")
    assert stroke["points"][-1][0] == SIDE


def test_the_page_prepares_a_digit_as_predict_does(opened):
    """But for a pixel where a centre of mass is near the middle of two."""
    digits, _ = drawn_digits(20, seed=5)
    found = opened.evaluate("all => all.map(each => prepared(each, height, width))", digits)
    pictures = runtimes.Page(opened).drawn(digits)["pictures"]
    for image, picture in zip(np.reshape(found, (-1, 28, 28)), pictures, strict=True):
        (digit,) = photos.find(1 - picture.astype(np.float32) / 255)
        expected = photos.prepared(digit, 28, 28)[..., 0] / 255
        moved = [np.roll(expected, by, axis=(0, 1)) for by in itertools.product((-1, 0, 1), repeat=2)]
        assert min(np.abs(each - image).mean() for each in moved) < 0.06


def test_a_finger_draws_as_the_mouse_does(opened):
    browser.draw(opened, SEVEN)
    by_mouse = pixels(opened)
    opened.locator("#clear").click()
    touch = opened.context.new_cdp_session(opened)

    def send(kind, *points):
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for first, *others in (browser.places(opened, stroke) for stroke in SEVEN):
        send("touchStart", first)
        for place in others:
            send("touchMove", place)
        send("touchEnd")
    np.testing.assert_allclose(pixels(opened), by_mouse, atol=0.1)
    assert label(opened) == "7"
    # a second finger draws nothing
    strokes = opened.evaluate("drawn.strokes.length")
    first, *_, other = browser.places(opened, SEVEN[0])
    send("touchStart", first)
    send("touchStart", first, other)
    send("touchEnd")
    assert opened.evaluate("drawn.strokes.length") == strokes + 1


def test_undo_and_clear(opened):
    undo, clear = opened.locator("#undo"), opened.locator("#clear")
    assert undo.is_disabled() and clear.is_disabled()
    four = drawn_digits(5, seed=3)[0][4]
    browser.draw(opened, four[:1])
    one = pixels(opened)
    browser.draw(opened, four[1:])
    both = pixels(opened)
    assert not np.array_equal(one, both)
    undo.click()
    np.testing.assert_array_equal(pixels(opened), one)
    browser.draw(opened, four[1:])
    clear.click()
    assert pixels(opened) is None and opened.locator("#answer b").count() == 0
    undo.click()
    np.testing.assert_array_equal(pixels(opened), both)
    for _ in range(2):
        undo.click()
    assert pixels(opened) is None and undo.is_disabled()


def test_thickness_changes_the_strokes_that_follow(opened):
    ink = []
    for thickness in ("12", "34"):
        opened.locator("#thickness").fill(thickness)
        browser.draw(opened, SEVEN)
        ink.append(pixels(opened).sum())
        opened.locator("#clear").click()
    assert ink[1] > 1.3 * ink[0]


def test_a_test_image_is_taken_as_it_is(opened, served):
    browser.draw(opened, SEVEN)
    chosen = page._chosen(served.labels, served.outputs[0].argmax(axis=1))
    examples = opened.locator("#examples button")
    assert examples.count() == len(chosen) > 12
    for each in (0, 11):
        examples.nth(each).click()
        np.testing.assert_allclose(pixels(opened), served.x[chosen[each], ..., 0] / 255, atol=1e-12)
        read = served.outputs[0][chosen[each]].argmax()
        assert label(opened) == str(read)
        is_wrong = read != served.labels[chosen[each]]
        told = opened.locator("#of-example").text_content()
        assert told.startswith("test image of a") and str(served.labels[chosen[each]]) in told
        assert ("read as" in told) == is_wrong
        opened.locator(".units button").first.click()
        assert examples.nth(each).get_attribute("aria-pressed") == "true"
        assert ("wrong" in examples.nth(each).get_attribute("class")) == is_wrong == (each == 11)
    opened.locator("#undo").click()
    opened.locator("#undo").click()
    assert label(opened) == "7" and len(opened.evaluate("drawn.strokes")) == 1
    assert opened.locator("#of-example").text_content() == ""


def test_the_numbers_of_a_unit_are_those_of_numpy(opened, served):
    browser.draw(opened, SEVEN)
    x = pixels(opened).ravel()
    kernels, biases = (
        [np.asarray(variable, float) for variable in served.model.trainable_variables[one::2]]
        for one in (0, 1)
    )
    values = [x]
    for kernel, bias in zip(kernels, biases, strict=True):
        values.append(np.maximum(values[-1] @ kernel + bias, 0))
    logits = values[2] @ kernels[2] + biases[2]
    values[3] = np.exp(logits) / np.exp(logits).sum()
    opened.locator("#terms summary").evaluate("summary => summary.parentNode.open = true")
    for layer, buttons in enumerate((".units:nth-of-type(1)", ".units:nth-of-type(2)", "#bars")):
        unit = int(values[layer + 1].argmax())
        opened.locator(f"{buttons} button").nth(unit).click()
        total = values[layer] @ kernels[layer][:, unit]
        shown = dict(
            opened.locator("#numbers td").evaluate_all(
                "cells => cells.map(cell => [cell.id, cell.textContent])"
            )
        )
        expected = {"sum": total, "bias": biases[layer][unit], "total": total + biases[layer][unit]}
        expected["value"] = values[layer + 1][unit]
        for name, number in expected.items():
            assert float(shown[f"number-{name}"]) == pytest.approx(number, abs=6e-5)
        products = values[layer] * kernels[layer][:, unit]
        terms = numbers(opened, "#terms")
        assert len(terms) == np.count_nonzero(values[layer])
        assert sum(row[-1] for row in terms) == pytest.approx(total, abs=1e-3)
        for *where, given, weight, product in terms[:5]:
            at = int(28 * where[0] + where[1] if layer == 0 else where[0])
            assert (given, weight) == pytest.approx(
                (values[layer][at], kernels[layer][at, unit]), abs=1e-6
            )
            assert product == pytest.approx(products[at], abs=1e-6)
        assert abs(terms[0][-1]) == pytest.approx(np.abs(products).max(), abs=1e-6)
        adds = numbers(opened, "#adds")
        if layer < 2:
            assert len(adds) == 10
            for to, weight, product in adds:
                expected_weight = kernels[layer + 1][unit, int(to)]
                assert weight == pytest.approx(expected_weight, abs=6e-5)
                assert product == pytest.approx(values[layer + 1][unit] * expected_weight, abs=6e-5)
        assert opened.locator("#adding").is_visible() == (layer < 2)
    one, every = (float(each) for each in shown["number-exps"].split(" / "))
    assert (one, every) == pytest.approx((np.exp(logits[unit]), np.exp(logits).sum()), rel=1e-4)


def test_units_are_lit_by_their_activations(opened):
    tiles = opened.locator(".units:nth-of-type(1) button")
    lit = "tiles => tiles.map(tile => Number(tile.style.getPropertyValue('--value')))"
    assert set(tiles.evaluate_all(lit)) == {0}
    browser.draw(opened, SEVEN)
    values = np.array(opened.evaluate("shown.reading[0].values"))
    np.testing.assert_allclose(tiles.evaluate_all(lit), values / values.max(), atol=1e-6)
    assert tiles.nth(3).get_attribute("aria-label") == f"unit 3, activation {values[3]:.4f}"


def test_a_pixel_is_pointed_at(opened, served):
    browser.draw(opened, SEVEN)
    opened.locator(".units button").nth(5).click()
    picture = opened.locator("#unit-weights")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    opened.mouse.move(
        *(box[side] + 10.5 / 28 * box[length] for side, length in (("x", "width"), ("y", "height")))
    )
    kernel = np.asarray(served.model.hidden[0].kernel)

    def picked(row, column):
        weight, pixel = kernel[28 * row + column, 5], pixels(opened)[row, column]
        text = opened.locator("#picked").text_content()
        assert text.startswith(f"row {row}, column {column}: ")
        found = [float(each) for each in re.findall(r"-?\d+\.\d+", text)]
        assert found == pytest.approx([weight, pixel, weight * pixel], abs=6e-5)

    picked(10, 10)
    opened.locator("#pictures").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        opened.keyboard.press(key)
    picked(11, 12)


def test_the_keyboard_does_it_all(opened):
    opened.locator("#paper").focus()
    for key in ("ArrowUp",) * 9 + (" ",) + ("ArrowDown",) * 18 + (" ",):
        opened.keyboard.press(key)
    assert label(opened) == "1"
    assert opened.locator("#status").text_content().startswith("pen up. It reads a 1")
    opened.keyboard.press("ArrowDown")  # the pen is up
    assert opened.evaluate("drawn.strokes.length") == 1
    opened.keyboard.press("Delete")
    assert pixels(opened) is None
    opened.keyboard.press("z")
    assert label(opened) == "1"
    opened.locator(".units button").first.focus()
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("Enter")
    assert opened.locator("#unit-title").text_content() == "Hidden layer 1: unit 1"


def test_all_words_are_there_in_both_languages(exported):
    with window(exported[0], locale="zh-CN") as shown:
        assert shown.evaluate("Object.keys(WORDS.zh)") == shown.evaluate("Object.keys(WORDS.en)")
        named = shown.locator("[data-word]").evaluate_all("all => all.map(each => each.dataset.word)")
        assert set(named) <= set(shown.evaluate("Object.keys(WORDS.en)"))
        browser.draw(shown, SEVEN)
        shown.locator(".units button").first.click()
        assert shown.locator("html").get_attribute("lang") == "zh-CN"
        assert shown.locator("h1").text_content() == "写一个数字"
        shown.locator("#language").click()
        assert shown.locator("html").get_attribute("lang") == "en"
        text = shown.locator("body").inner_text()
        assert re.findall(r"[\u4e00-\u9fff]+", text) == ["中文"]  # which leads back


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_the_window(scheme, width, exported):
    size = {"viewport": {"width": width, "height": 844}}
    with window(exported[0], color_scheme=scheme, locale="en-US", **size) as shown:
        browser.draw(shown, SEVEN)
        assert shown.evaluate("document.documentElement.scrollWidth") == width
        lowest = shown.locator(".bar").last.bounding_box()
        assert lowest["y"] + lowest["height"] < 844  # paper and bars are seen at once
        ground = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground))) < 300) == (scheme == "dark")
        zero = shown.evaluate("signed(1)(0)")
        assert (sum(zero) < 300) == (scheme == "dark")
        shown.locator(".units button").last.click()
        assert 0 <= shown.locator("#unit-title").bounding_box()["y"] < 844
        shown.locator(".units button").first.click()
        assert 0 <= shown.locator("#unit-title").bounding_box()["y"] < 844


def test_names_are_shown_and_not_run(served, tmp_path):
    name = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    page.write_page(dataclasses.replace(served, run=name, data="<b>"), tmp_path / "page.html")
    with window(tmp_path / "page.html", locale="en-US") as shown:
        shown.on("dialog", lambda dialog: pytest.fail(dialog.message))
        assert f"run “{name}”, trained on <b>: 784-60-30-10" in shown.locator("#about").text_content()
        assert name in shown.title()


@pytest.mark.parametrize(
    "what, change, said",
    [
        ("network.js", ("Math.max(0, total)", "Math.max(0.01, total)"), "within 1e-05 of the model's"),
        ("strokes.js", ("const BOX = 20 / 28", "const BOX = 10 / 28"), "99% of drawn digits"),
    ],
)
def test_a_page_that_fails_leaves_no_file(what, change, said, served, tmp_path, monkeypatch, capsys):
    whole = page._whole

    def broken(content):
        text = whole(content)
        assert text.count(change[0]) == 1, what
        return text.replace(*change)

    monkeypatch.setattr(page, "_whole", broken)
    monkeypatch.setattr(drawn, "DRAWN_DIGITS", 20)
    monkeypatch.setattr(Served, "of_run", classmethod(lambda *_: served))
    (tmp_path / "run").mkdir()
    assert main([str(tmp_path / "run"), "--format", "html", "--output", str(tmp_path / "out")]) == 1
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not list((tmp_path / "out").iterdir())


def test_a_model_with_no_hidden_layer_has_a_page(served, tmp_path):
    import kerasmlp

    model = kerasmlp.MLP(())
    model.build((None, 28, 28, 1))
    page.write_page(dataclasses.replace(served, model=model), tmp_path / "page.html")
    with window(tmp_path / "page.html", locale="en-US") as shown:
        browser.draw(shown, SEVEN)
        shown.locator(".bar").nth(3).click()
        assert shown.locator("#unit-title").text_content() == "The unit of the digit 3"
        assert not shown.locator("#layers").is_visible()


@pytest.mark.mnist
def test_the_page_of_the_recipe_accurate_reads_drawn_digits(mnist_path, tmp_path):
    settings = Settings.starting_from({"recipe": "accurate"})
    settings = dataclasses.replace(settings, data=mnist_path, logdir=tmp_path, summaries=())
    folder, _ = train(settings)
    page.write_page(Served.of_run(folder), tmp_path / "page.html")
    digits, labels = drawn_digits(drawn.DRAWN_DIGITS, seed=1)
    with window(tmp_path / "page.html") as shown:
        found = runtimes.Page(shown).drawn(digits)["drawn"].argmax(axis=1)
    assert np.mean(found == labels) >= 0.95
