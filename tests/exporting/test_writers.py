import dataclasses

import numpy as np
import pytest

from helpers import run
from kerasmlp.exporting import writers
from kerasmlp.models.quantization import rounded
from small_models import mlp

interpreter = pytest.importorskip("ai_edge_litert.interpreter")


def details(path):
    opened = interpreter.Interpreter(str(path))
    opened.allocate_tensors()
    return opened, opened.get_tensor_details(), opened._get_ops_details()


def test_the_integer_file_has_no_floats_and_no_operations_of_tensorflow(exported):
    _, tensors, operations = details(exported["litert-int8"][0])
    assert {tensor["dtype"] for tensor in tensors} == {np.uint8, np.int8, np.int32}
    assert {"FULLY_CONNECTED", "SOFTMAX"} < {operation["op_name"] for operation in operations}
    for format in ("litert", "litert-int8"):
        _, _, operations = details(exported[format][0])
        assert not [operation for operation in operations if "Flex" in operation["op_name"]]


def test_the_integer_file_has_the_integers_of_the_training(served, digits, tmp_path):
    model = mlp("int8")
    run("fit", model, digits, validation=False)
    writers.write(dataclasses.replace(served, model=model), "litert-int8", tmp_path / "x.tflite")
    opened, tensors, _ = details(tmp_path / "x.tflite")
    (weights,) = (tensor for tensor in tensors if tuple(tensor["shape"]) == (8, 36))
    scales = weights["quantization_parameters"]["scales"]
    kernel = model.hidden[0].kernel.numpy()
    np.testing.assert_allclose(scales, np.abs(kernel).max(axis=0) / 127, rtol=1e-6)
    integers = opened.get_tensor(weights["index"])
    np.testing.assert_allclose(integers * scales[:, None], rounded(kernel, 8).numpy().T, atol=1e-7)
    (activations,) = (tensor for tensor in tensors if tuple(tensor["shape"]) == (1, 8))
    scale, zero = activations["quantization"]
    assert (scale * 255, zero) == (pytest.approx(float(model.hidden[0].highest)), -128)
