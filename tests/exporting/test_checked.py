import json

import numpy as np

import kerasmlp
from kerasmlp.exporting.formats import FILES


def test_every_export_predicts_what_the_model_predicts(exported, finished, digits):
    (folder, _), _ = finished
    probabilities = kerasmlp.load(folder)(digits[0] / np.float32(255)).numpy()
    accuracy = np.mean(probabilities.argmax(axis=1) == digits[1])
    for format, (path, report) in exported.items():
        assert path.name == FILES[format]
        assert (report.format, report.examples, report.accuracy_of_model) == (format, 40, accuracy)
        if format == "litert-int8":
            assert report.equal_labels >= 0.98
            assert 1e-5 < report.largest_difference < 0.03
        else:
            assert (report.equal_labels, report.accuracy) == (1, accuracy)
            assert report.largest_difference < 1e-5
        assert report.bytes == len(path.read_bytes())
        assert report.milliseconds_1 > 0
        written = json.loads(path.with_name(f"{path.name}.json").read_text())
        assert written["largest_difference"] == report.largest_difference


def test_only_the_exports_and_their_reports_are_written(exported):
    files = {FILES[format] for format in exported}
    (output,) = {path.parent for path, _ in exported.values()}
    assert {path.name for path in output.iterdir()} == files | {f"{file}.json" for file in files}
