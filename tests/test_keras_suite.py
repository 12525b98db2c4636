"""What runs Keras' own tests tells a loop that trains from one that does not."""

import pytest

import keras_suite

pytestmark = pytest.mark.thorough


def test_a_loop_that_does_not_train_fails_the_tests_that_call_fit(tmp_path):
    file = str(keras_suite.KERAS / "callbacks" / "terminate_on_nan_test.py")

    def outcomes(loop):
        found = keras_suite.run(tmp_path, ["-n", "0", file], loop=loop, only=None, program=False)
        return {test: (of["fit"], of["outcome"]) for test, of in found.items()}

    keras_own = outcomes(None)
    assert (True, "passed") in keras_own.values()
    assert outcomes("graph") == keras_own
    for test, (calls_fit, outcome) in outcomes("none").items():
        assert outcome == ("failed" if calls_fit else "passed"), test


def test_differences_are_told_by_their_reason(capsys):
    known = {"a_test": "expected one whose number of batches is known"}
    assert keras_suite.told({"fit": known, "graph": known | {"b_test": "AssertionError"}}) == 1
    assert capsys.readouterr().out == (
        "  refused by intention: a dataset of unknown size\n    a_test (fit, graph)\n"
        "  NO REASON IS KNOWN\n    b_test: AssertionError (graph)\n"
    )
