import pytest

from kerasmlp.exporting import formats


def test_a_missing_package_is_an_error_that_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(formats.PACKAGES, "onnx", ("numpy",))
    formats.check_installed("onnx")
    monkeypatch.setitem(formats.PACKAGES, "onnx", ("numpy", "no-such-runtime"))
    with pytest.raises(ValueError, match=r"--format: onnx .*pip install numpy no-such-runtime$"):
        formats.check_installed("onnx")
