"""What several test modules use: small models, runs of a loop, event files read back."""

import io
import json
import os
import re
import struct
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from kerasmlp.checkpoints import files
from kerasmlp.data import Batches, Examples
from kerasmlp.loops.builtin import LOOPS
from kerasmlp.runs import run_folder
from kerasmlp.runs.task import Task


def cases(names, *, default):
    """Parameters of a test: those of `default`, and the others when the tests are to be thorough."""
    return [
        name if name in default else pytest.param(name, marks=pytest.mark.thorough) for name in names
    ]


def pairs(ones, others, *, default):
    """Parameters of a test that has two: the pairs of `default`, and the others as by `cases`."""
    return [
        pytest.param(one, other, marks=[pytest.mark.thorough] * ((one, other) not in default))
        for one in ones
        for other in others
    ]


def save_npz(folder, digits):
    """The path of a new .npz file: 40 training images, of which 10 are the test images too."""
    images, labels = digits
    path = folder / "digits.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:10], y_test=labels[:10])
    return path


def idx(array):
    """The bytes of an IDX file."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


def compiled(layers, *, optimizer=None, jit_compile=False, steps_per_execution=1, dtype="float32"):
    """A small compiled model of `layers`, which ends in probabilities over three classes."""
    with_dtype = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((6, 6, 1)), *layers()])
        model.compile(
            optimizer=optimizer() if optimizer else keras.optimizers.SGD(0.1, momentum=0.9),
            loss=keras.losses.SparseCategoricalCrossentropy(),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
            jit_compile=jit_compile,
            steps_per_execution=steps_per_execution,
        )
    finally:
        keras.config.set_dtype_policy(with_dtype)
    return model


def validation_batches(digits, examples=11, batch_size=4):
    """The first examples, in order: by default two full batches and a partial one."""
    images, labels = (part[:examples] for part in digits)
    return Examples(images, labels, are_images=True, batch_size=batch_size).in_order()


def run(loop, model, digits, *, epochs=2, batch_size=7, callbacks=(), validation=True, **options):
    """Train `model` with the loop of that name; 40 examples by 7 leave a partial batch of 5."""
    images, labels = digits
    return LOOPS[loop](
        model,
        Batches(images, labels, batch_size, seed=5, **options),
        validation_batches(digits) if validation else None,
        epochs,
        list(callbacks),
    )


def task(model, batches, sample, **others):
    """A task of a run, without validation and test unless they are given."""
    nothing = {"validation": None, "shown": None, "test": None, "validation_examples": None}
    told = {"data": "digits.npz", "fingerprint": "of the data", "digest": 0, "validates_average": False}
    return Task(model=model, batches=batches, sample=sample, **{**nothing, **told, **others})


def state(model):
    """All that training changes: weights, seeds, optimizer."""
    return [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)]


def assert_same(first, second):
    """Two lists of arrays are equal, bit for bit."""
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other), np.abs(one.astype(float) - other).max()


def events(folder):
    """What the event files below `folder` hold: {(sub-run, tag): {step: value}}."""
    read = defaultdict(dict)
    for path in sorted(folder.rglob("events.*")):
        sub_run = str(path.parent.relative_to(folder))
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                key = sub_run, value.tag
                assert event.step not in read[key], f"{key}: step {event.step} twice"
                read[key][event.step] = tf.make_ndarray(value.tensor)
    for (sub_run, tag), steps in list(read.items()):
        if tag == "__run_graph__":
            del read[sub_run, tag]
            graphs = {
                step: tf.compat.v1.GraphDef.FromString(value.item()) for step, value in steps.items()
            }
            read[sub_run, "graph"] = graphs
    return dict(read)


def image(value):
    """The picture of an image summary. Its size must be the size that the summary names."""
    width, height, png = value
    with Image.open(io.BytesIO(png)) as opened:
        assert opened.size == (int(width), int(height))
        return np.asarray(opened)


def series(folder):
    """What TensorBoard shows of the event files below `folder`: {(sub-run, plugin, tag)}."""
    return {
        (str(path.parent.relative_to(folder)), value.metadata.plugin_data.plugin_name, value.tag)
        for path in folder.rglob("events.*")
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
    }


NOT_THE_SAME = re.compile("speed/.*|trained/seconds.*|graph|command|settings|versions")
"""The tags that hold times, names, or what only a run that goes on writes."""


def newest(folder):
    """The newest checkpoint of the run in `folder`."""
    return files.read(max((folder / run_folder.CHECKPOINTS).glob(files.PATTERN)))


def bits(value):
    """The bits of a value in an event file: an array, of numbers or of bytes, or a graph."""
    array = np.asarray(value)
    return array.tolist() if array.dtype == object else array.tobytes()


def finished(folder):
    """What has to be the same at the end of two runs, bit for bit; times are left out.

    Every variable, the best weights, the history, the test's metrics, the events.
    """
    contents = newest(folder)
    metrics = json.loads((folder / run_folder.METRICS).read_text())
    return {
        "step": contents.state["step"],
        "arrays": {
            name: (array.dtype.str, array.shape, array.tobytes())
            for name, array in contents.arrays.items()
        },
        "best": contents.state["callbacks"][-1],
        "history": (folder / run_folder.HISTORY).read_text(),
        "metrics": {
            name: value
            for name, value in metrics.items()
            if name in ("steps", "epochs") or name.startswith(("test_", "validation_", "best_"))
        },
        "events": {
            key: {step: bits(value) for step, value in steps.items()}
            for key, steps in events(folder).items()
            if not NOT_THE_SAME.fullmatch(key[1])
        },
    }


def python(*arguments, prefix=(), cwd=None, **environment):
    """Run Python in a process of its own, by the command `prefix`; return what it ended with."""
    return subprocess.run(
        [*prefix, sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def without_posix():
    """The environment of a Python that has not what Windows has not."""
    folder = Path(__file__).parent / "without_posix"
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}


def datasets(path):
    """The arrays in a file of weights, by name."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update({name: item[()].tobytes()} if hasattr(item, "dtype") else {})
        )
    return found
