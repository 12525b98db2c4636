import dataclasses
import json
import os
import sys

import numpy as np
import pytest

from kerasmlp.exporting import drawn, parity, runtimes
from kerasmlp.exporting.reasons import FormatError


def test_other_predictions_are_measured_and_are_an_error(exported, served):
    others = [np.full((40, 3), [0.5, 0.3, 0.2], np.float32)]
    path, _ = exported["onnx"]
    report = parity.measure(dataclasses.replace(served, outputs=others), "onnx", path)
    assert report.accuracy_of_model == np.mean(served.labels == 0)
    assert report.equal_labels < 0.6
    assert report.largest_difference > 0.1
    for bound in (parity.EXACT, parity.ROUNDED):
        with pytest.raises(parity.ParityError, match="onnx: expected probabilities within"):
            report.check(bound)


def test_numbers_are_measured_by_hand(exported, served):
    """As if the model predicted numbers, 10 times its probabilities."""
    (probabilities,) = served.outputs
    numbers = 10 * probabilities
    path, _ = exported["onnx"]
    other = dataclasses.replace(served, outputs=[numbers], labels=None)
    report = parity.measure(other, "onnx", path)
    difference = numbers - probabilities
    assert report.largest_difference == pytest.approx(difference.max() / numbers.max(), rel=1e-4)
    assert report.variance_loss == pytest.approx((difference**2).mean() / numbers.var(), rel=1e-4)
    assert report.equal_labels is report.accuracy is report.accuracy_of_model is None
    with pytest.raises(parity.ParityError, match="onnx: expected outputs within 1 of the model's"):
        report.check(parity.ROUNDED)
    dataclasses.replace(report, variance_loss=0.009).check(parity.ROUNDED)
    with pytest.raises(parity.ParityError, match="within 1e-05"):
        dataclasses.replace(report, variance_loss=0.0).check(parity.EXACT)


def test_outputs_of_another_shape_are_an_error(exported, served):
    other = dataclasses.replace(served, outputs=[np.zeros((40, 4), np.float32)])
    with pytest.raises(parity.ParityError, match=r"shapes \[\(40, 4\)\]; received \[\(40, 3\)\]"):
        parity.measure(other, "onnx", exported["onnx"][0])


def test_an_export_that_does_not_run_is_an_error(served, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(FormatError, match=r"onnx: .*its runtime fails: (?!Traceback)\S"):
        parity.measure(served, "onnx", tmp_path / "model.onnx")


LABELS = {"equal_labels": 1.0, "accuracy": 0.97, "accuracy_of_model": 0.97}
NUMBERS = {"variance_loss": 0.0}
DRAWN = {**LABELS, "drawn_equal": 0, "drawn_certain": 100, "drawn_alike": 100}


@pytest.mark.parametrize(
    "bound, kind, inside, outside",
    [
        ("EXACT", LABELS, {"largest_difference": 0.99e-5}, {"largest_difference": 1.01e-5}),
        ("EXACT", LABELS, {"equal_labels": 1.0}, {"equal_labels": 0.999}),
        ("EXACT", LABELS, {"accuracy": 0.97}, {"accuracy": 0.969}),
        ("EXACT", NUMBERS, {"largest_difference": 0.99e-5}, {"largest_difference": 1.01e-5}),
        ("EXACT", DRAWN, {"drawn_alike": 99}, {"drawn_alike": 98}),
        (
            "EXACT",
            DRAWN,
            {"drawn_certain": 50, "drawn_alike": 50},
            {"drawn_certain": 50, "drawn_alike": 49},
        ),
        ("EXACT", DRAWN, {"drawn_certain": 0, "drawn_alike": 0}, {"drawn_certain": 1, "drawn_alike": 0}),
        ("ROUNDED", LABELS, {"largest_difference": 0.99}, {"largest_difference": 1.01}),
        ("ROUNDED", LABELS, {"equal_labels": 0.981}, {"equal_labels": 0.979}),
        ("ROUNDED", LABELS, {"accuracy": 0.961}, {"accuracy": 0.959}),
        ("ROUNDED", NUMBERS, {"variance_loss": 0.0099}, {"variance_loss": 0.0101}),
        ("ROUNDED", DRAWN, {"drawn_alike": 99}, {"drawn_alike": 98}),
    ],
)
def test_each_bound_is_where_it_is_said_to_be(bound, kind, inside, outside):
    plain = {"format": "html", "bytes": 1, "examples": 1000, "largest_difference": 0.0, **kind}
    times = {"milliseconds_1": 1.0, "milliseconds_1000": 1.0}
    parity.Parity(**{**plain, **inside}, **times).check(getattr(parity, bound))
    with pytest.raises(parity.ParityError, match="This export is not kept"):
        parity.Parity(**{**plain, **outside}, **times).check(getattr(parity, bound))


@pytest.mark.parametrize("missing", ["equal_labels", "accuracy", "accuracy_of_model"])
def test_without_labels_or_an_accuracy_numbers_are_compared(missing):
    plain = {"format": "onnx", "bytes": 1, "examples": 40, "largest_difference": 0.0}
    times = {"milliseconds_1": 1.0, "milliseconds_1000": 1.0}
    labels = {"equal_labels": 0.5, "accuracy": 0.5, "accuracy_of_model": 0.9, missing: None}
    report = parity.Parity(**plain, **times, **labels, variance_loss=0.01)
    report.check(parity.ROUNDED)
    with pytest.raises(parity.ParityError, match="expected outputs within 1 of the model's largest"):
        dataclasses.replace(report, variance_loss=0.011).check(parity.ROUNDED)


@pytest.mark.parametrize("given", [{"drawn_certain": 9}, {"drawn_alike": 0}])
def test_drawn_digits_count_if_both_of_their_numbers_are_known(given):
    times = {"milliseconds_1": 1.0, "milliseconds_1000": 1.0}
    plain = {"format": "html", "bytes": 1, "examples": 40, "largest_difference": 1e-5}
    parity.Parity(**plain, **times, **LABELS, **given).check(parity.EXACT)


@pytest.mark.parametrize(
    "bound, given, said",
    [
        ("EXACT", {"variance_loss": 0.5}, "outputs within 1e-05 of the model's largest; received 2"),
        (
            "ROUNDED",
            {"variance_loss": 0.02},
            "outputs within 1 of the model's largest, and at most 1% of their variance lost;"
            " received 2 and 2.0%",
        ),
        (
            "ROUNDED",
            {**LABELS, "equal_labels": 0.9, "accuracy": 0.9},
            "probabilities within 1 of the model's, 98% of 1,000 labels equal, and at most 1% of"
            " accuracy lost; received 2, 90.0% and 7.0%",
        ),
        (
            "EXACT",
            {**DRAWN, "drawn_alike": 98},
            "probabilities within 1e-05 of the model's, 100% of 1,000 labels equal, and at most 0% of"
            " accuracy lost; and 99% of drawn digits read as by kerasmlp.predict; received 2, 100.0% and"
            " 0.0%; and 98 of 100",
        ),
    ],
)
def test_an_export_that_is_not_kept_is_told_why(bound, given, said):
    plain = {"format": "html", "bytes": 1, "examples": 1000, "largest_difference": 2.0}
    report = parity.Parity(**plain, milliseconds_1=1.0, milliseconds_1000=1.0, **given)
    with pytest.raises(parity.ParityError) as raised:
        report.check(getattr(parity, bound))
    assert str(raised.value) == f"html: expected {said}. This export is not kept."


def test_labels_are_compared_by_hand(served):
    of_model = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.8, 0.1, 0.1]])
    found = np.array([[0.5, 0.4, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.7, 0.2, 0.1]])
    other = dataclasses.replace(served, outputs=[of_model], labels=np.array([0, 1, 1, 2]))
    assert parity._compare_labels(other, [found]) == {
        "largest_difference": pytest.approx(0.4),
        "equal_labels": 0.75,
        "accuracy": 0.25,
        "accuracy_of_model": 0.5,
    }


@pytest.mark.parametrize(
    "of_model, found, largest, loss",
    [
        ([[0, 4]], [[1, 4]], 1 / 4, 0.5 / 4),  # the largest is 4, and the variance is 4
        ([[0, -4]], [[0, -2]], 2 / 4, 2 / 4),
        ([[0, 0.5]], [[0.1, 0.5]], 0.1, 0.005 / 0.0625),  # less than 1 counts as 1
        ([[3, 3]], [[3, 6]], 1, 4.5),  # so does no variance
        ([[0, 4], [0, 2]], [[1, 4], [0, 1]], 0.5, 0.5),  # the largest of both outputs
    ],
)
def test_numbers_are_compared_with_the_largest_and_the_variance(of_model, found, largest, loss, served):
    other = dataclasses.replace(served, outputs=[np.array(each, np.float32) for each in of_model])
    compared = parity._compare_numbers(other, [np.array(each, np.float32) for each in found])
    assert compared["largest_difference"] == pytest.approx(largest)
    assert compared["variance_loss"] == pytest.approx(loss)


def test_the_size_is_that_of_all_files(tmp_path):
    (tmp_path / "folder/inner").mkdir(parents=True)
    (tmp_path / "folder/one").write_bytes(b"12345")
    (tmp_path / "folder/inner/two").write_bytes(b"123")
    assert (parity.size(tmp_path / "folder/one"), parity.size(tmp_path / "folder")) == (5, 8)


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """Another program in the place of `runtimes`; by default it returns what the export contains."""

    def write(program):
        (tmp_path / "runtime.py").write_text(program)

    monkeypatch.setattr(runtimes, "__file__", str(tmp_path / "runtime.py"))
    write("""
import json, os, pathlib, shutil, sys
format, path, inputs, output, *module = sys.argv[1:]
told = [format, module, sys.flags.safe_path, os.environ.get("PYTHONPATH")]
pathlib.Path(path).with_name("told.json").write_text(json.dumps(told))
shutil.copy(inputs, pathlib.Path(path).with_name("told.npz"))
shutil.copy(path, output)
""")
    return write


def answer(path, *outputs, **others):
    times = {"milliseconds_1": 1.5, "milliseconds_1000": 2.5}
    with path.open("wb") as file:
        np.savez(file, *outputs, **times, **others)
    return path


def told(path):
    """The arguments and the inputs of the runtime."""
    with np.load(path.with_name("told.npz")) as inputs:
        return json.loads(path.with_name("told.json").read_text()), dict(inputs)


def test_a_runtime_is_given_the_examples_and_nothing_of_kerasmlp(runtime, served, tmp_path):
    path = answer(tmp_path / "export", *served.outputs)
    report = parity.measure(served, "onnx", path)
    arguments, inputs = told(path)
    assert arguments == ["onnx", [], True, os.environ.get("PYTHONPATH")]
    assert list(inputs) == ["x"] and np.array_equal(inputs["x"], served.x)
    assert (report.milliseconds_1, report.milliseconds_1000) == (1.5, 2.5)
    assert (report.format, report.bytes, report.examples) == ("onnx", path.stat().st_size, 40)
    assert (report.largest_difference, report.drawn_equal) == (0, None)


@pytest.mark.parametrize("module, imported", [(None, "kerasmlp"), ("mine", "mine")])
def test_a_keras_file_is_given_the_module_of_its_classes_and_where_it_is(
    module, imported, runtime, served, tmp_path
):
    x = {"a b": np.zeros((40, 2)), "c": np.ones((40, 3))}
    path = answer(tmp_path / "export", *served.outputs)
    parity.measure(dataclasses.replace(served, x=x, module=module), "keras", path)
    arguments, inputs = told(path)
    assert arguments == ["keras", [imported], True, os.pathsep.join(sys.path)]
    assert set(inputs) == {"x/a b", "x/c"}


def test_an_export_takes_inputs_by_their_names_in_it(runtime, served, tmp_path):
    x = {"a b": np.zeros((40, 2)), "c": np.ones((40, 3))}
    path = answer(tmp_path / "export", *served.outputs)
    parity.measure(dataclasses.replace(served, x=x), "litert", path)
    _, inputs = told(path)
    assert set(inputs) == {"x/a_b", "x/c"} and np.array_equal(inputs["x/a_b"], x["a b"])


def test_a_page_is_given_digits_to_draw(runtime, served, tmp_path):
    papers = {"pictures": np.zeros((1, 280, 280), np.uint8), "drawn": np.eye(3)[:1]}
    path = answer(tmp_path / "export", *served.outputs, **papers)
    report = parity.measure(served, "html", path)
    _, inputs = told(path)
    assert str(inputs["strokes"]) == drawn.digits_as_json()
    assert (report.drawn_equal, report.drawn_certain, report.drawn_alike) == (0, 0, 0)


@pytest.mark.parametrize(
    "program, said",
    [
        ("import sys; sys.exit(3)", "its runtime fails: exit status 3"),
        (
            "import sys; print('one\\ntwo\\nlast', file=sys.stderr); sys.exit(1)",
            "its runtime fails: last",
        ),
        (
            "import sys; sys.stderr.buffer.write(b'caf\\xe9 \\n\\n'); sys.exit(1)",
            "its runtime fails: caf\ufffd",
        ),
    ],
)
def test_a_runtime_that_fails_is_named_by_its_last_line(program, said, runtime, served, tmp_path):
    runtime(program)
    with pytest.raises(FormatError) as raised:
        parity.measure(served, "onnx", tmp_path / "export")
    assert str(raised.value) == f"onnx: this format cannot hold the model: {said}"


def test_a_runtime_that_is_not_there_is_no_failure(runtime, served, tmp_path):
    runtime("import sys; print('no browser', file=sys.stderr); sys.exit(69)")
    with pytest.raises(parity.NotRunError, match=r"^no browser$"):
        parity.measure(served, "html", tmp_path / "export")
