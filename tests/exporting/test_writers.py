import dataclasses

import keras
import numpy as np
import pytest

from helpers import cases, run
from kerasmlp.exporting import FormatError, Served, runtimes, writers
from kerasmlp.exporting.formats import FILES
from kerasmlp.models import plain
from kerasmlp.models.quantization import rounded
from small_models import Loud, mlp

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


@pytest.fixture(scope="module")
def quantized(digits):
    """A model that was trained for integers."""
    model = mlp("int8")
    run("fit", model, digits, validation=False)
    return model


def test_the_integer_file_has_the_integers_of_the_training(served, quantized, tmp_path, capfd):
    model = quantized
    writers.write(dataclasses.replace(served, model=model), "litert-int8", tmp_path / "x.tflite")
    assert capfd.readouterr().out == ""
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


X = np.linspace(-1, 1, 40, dtype=np.float32).reshape(10, 4)


def of_layers(*layers):
    """A model of numbers, and what it predicts."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile("adam", "mse")
    outputs = [model.predict(X, verbose=0)]
    given = {"run": "run", "data": "data", "labels": None, "takes_bytes": False, "module": None}
    return Served(model=model, x=X, outputs=outputs, training_x=X, **given)


def written(served, format, folder):
    writers.write(served, format, folder / FILES[format])
    return folder / FILES[format]


@pytest.mark.parametrize("format", ["savedmodel", "litert", "litert-int8", "onnx"])
def test_an_export_does_not_train_and_prints_nothing(format, tmp_path, capfd):
    served = of_layers(Loud(), keras.layers.Dense(2))
    optimizer = served.model.optimizer
    path = written(served, format, tmp_path)
    assert (capfd.readouterr().out, served.model.optimizer, served.model.compiled) == (
        "",
        optimizer,
        True,
    )
    for count in (10, 3):
        (found,) = runtimes.RUNTIMES[format](str(path))(X[:count])
        allowed = 0.03 if format == "litert-int8" else 1e-5
        np.testing.assert_allclose(found, served.outputs[0][:count], atol=allowed)


def test_a_keras_file_has_no_optimizer(tmp_path):
    path = written(of_layers(keras.layers.Dense(2)), "keras", tmp_path)
    assert not keras.models.load_model(path).compiled


@pytest.mark.parametrize("format", ["savedmodel", "litert", "onnx"])
def test_inputs_and_outputs_have_the_names_of_the_data(format, tmp_path):
    inputs = {"b": keras.Input((3,), name="b"), "a": keras.Input((2,), name="a")}
    model = keras.Model(inputs, {"sum": inputs["b"] + inputs["a"][:, :1], "first": inputs["a"]})
    model.compile("adam", "mse")
    x = {"b": np.full((4, 3), 0.5, np.float32), "a": np.ones((4, 2), np.float32)}
    served = dataclasses.replace(of_layers(keras.layers.Dense(2)), model=model, x=x)
    first, second = runtimes.RUNTIMES[format](str(written(served, format, tmp_path)))(x)
    assert np.array_equal(first, x["a"])
    assert np.array_equal(second, np.full((4, 3), 1.5))


def test_a_keras_file_of_images_takes_bytes(served, tmp_path):
    loaded = keras.models.load_model(written(served, "keras", tmp_path))
    np.testing.assert_allclose(loaded(served.x), served.outputs[0], atol=1e-6)


def test_other_models_have_integers_with_ranges_inside_and_floats_outside(tmp_path):
    path = written(
        of_layers(keras.layers.Dense(3, "relu"), keras.layers.Dense(2)), "litert-int8", tmp_path
    )
    opened, tensors, operations = details(path)
    names = [operation["op_name"] for operation in operations]
    assert names.count("QUANTIZE") == names.count("DEQUANTIZE") == 1
    (hidden,) = (each for each in tensors if tuple(each["shape"]) == (1, 3) and each["dtype"] == np.int8)
    assert opened.get_input_details()[0]["dtype"] == np.float32
    assert 0 < hidden["quantization"][0] < 4 / 255


def test_a_loop_is_for_one_example_in_litert_and_has_no_integers(tmp_path):
    served = of_layers(keras.layers.Reshape((4, 1)), keras.layers.GRU(2))
    path = written(served, "litert", tmp_path)
    opened, *_ = details(path)
    assert opened.get_input_details()[0]["shape_signature"].tolist() == [1, 4]
    for count in (10, 1):
        (found,) = runtimes.litert(str(path))(X[:count])
        np.testing.assert_allclose(found, served.outputs[0][:count], atol=1e-6)
    with pytest.raises(FormatError, match=r"litert-int8: .* ranges of activations in a loop, such as"):
        written(served, "litert-int8", tmp_path)


def test_a_model_without_a_loop_is_for_any_number_of_examples_in_litert(tmp_path):
    opened, *_ = details(written(of_layers(keras.layers.Dense(2)), "litert", tmp_path))
    assert opened.get_input_details()[0]["shape_signature"].tolist() == [-1, 4]


def test_constants_are_in_the_graph_of_onnx(tmp_path):
    scaled = keras.layers.Normalization(mean=np.ones(4), variance=np.full(4, 4.0))
    served = of_layers(scaled, keras.layers.Dense(2))
    call = runtimes.onnx(str(written(served, "onnx", tmp_path)))
    for count in (10, 3):
        np.testing.assert_allclose(call(X[:count])[0], served.outputs[0][:count], atol=1e-6)


def test_tables_are_refused_by_onnx(tmp_path):
    vectorize = keras.layers.TextVectorization(vocabulary=["good", "bad"], output_sequence_length=2)
    words = np.array(["good", "bad"])
    model = keras.Sequential([keras.Input((), dtype="string"), vectorize, keras.layers.Embedding(4, 2)])
    model.compile("adam", "mse")
    served = dataclasses.replace(of_layers(keras.layers.Dense(2)), model=model, x=words)
    with pytest.raises(
        FormatError, match=r"onnx: .*tf2onnx cannot convert tables, such as that of a Text"
    ):
        written(served, "onnx", tmp_path)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_for_keras_and_savedmodel_alone(dtype, tmp_path):
    served = of_layers(keras.layers.Dense(2, dtype=dtype))
    for format in ("litert", "litert-int8", "onnx"):
        with pytest.raises(
            FormatError, match=rf"{format}: .*: it is for float32; this model computes in h"
        ):
            written(served, format, tmp_path)
    assert written(served, "keras", tmp_path).exists()
    assert written(served, "savedmodel", tmp_path).exists()


@pytest.mark.parametrize("format", cases(("litert", "onnx"), default=("onnx",)))
def test_a_quantized_model_is_written_with_rounded_floats(format, served, quantized, tmp_path):
    path = written(dataclasses.replace(served, model=quantized), format, tmp_path)
    (found,) = runtimes.RUNTIMES[format](str(path))(served.x)
    expected = plain(quantized, ranges=False).predict(served.x / np.float32(255), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_error_of_a_file_is_no_matter_of_the_format(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        writers.write(of_layers(keras.layers.Dense(2)), "keras", tmp_path / "file/model.keras")
    with pytest.raises(FormatError, match=r"litert: this format cannot hold the model: .*must|requires"):
        writers.write(of_layers(keras.layers.Dense(2)), "litert", tmp_path / "no suffix")
