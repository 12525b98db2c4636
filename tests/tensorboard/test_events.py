"""All dashboards write to the same event files, and TensorBoard reads them."""

import functools
import json
import re
import shutil
import time
import urllib.request

import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import SessionLog
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from helpers import bits, cases, events, series
from kerasmlp.loops.builtin import LOOPS
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.tags import about
from tensorboard import program

VARIANTS = [("fit", 1), ("fit", 5), ("graph", 1), ("graph", 5), ("eager", 1)]


@pytest.fixture(scope="module")
def written_by(write, tmp_path_factory):
    """A function that returns the folder of a run of a variant, which is trained once."""

    @functools.cache
    def folder(loop, steps_per_execution):
        path = tmp_path_factory.mktemp(loop)
        write(path, loop, steps_per_execution=steps_per_execution)
        return path

    return folder


def read(folder):
    """The events of a folder, but the first of each file, which names the version."""
    return [
        event
        for path in sorted(folder.rglob("events.*"))
        for event in EventFileLoader(str(path)).Load()
        if not event.HasField("file_version")
    ]


def test_what_is_added_is_in_the_file_once_it_is_flushed_or_closed(tmp_path):
    begin = time.time()
    files = Events(tmp_path)
    files.write("a", 3, scalar_pb, {"loss/batch": 0.5, "norms/gradients": 0.25})
    files.flush()
    (event,) = read(tmp_path)
    assert event.step == 3 and begin <= event.wall_time <= time.time()
    described = {value.tag: value.metadata.summary_description for value in event.summary.value}
    assert described == {tag: about(tag) for tag in ("loss/batch", "norms/gradients")}
    files.write("a", 4, scalar_pb, {"loss/batch": 0.25})
    files.write("b", 5, scalar_pb, {"loss/batch": 0.125})
    files.close()
    assert [event.step for event in read(tmp_path / "a")] == [3, 4]
    assert [event.step for event in read(tmp_path / "b")] == [5]
    assert len(list(tmp_path.rglob("events.*"))) == 2, "one file each"


def test_an_open_tensorboard_forgets_what_a_resumed_run_writes_again(tmp_path):
    files = Events(tmp_path, initial_step=7)
    files.write("a", 8, scalar_pb, {"loss/batch": 0.5})
    files.write("a", 9, scalar_pb, {"loss/batch": 0.5})
    files.close()
    start, *others = read(tmp_path)
    assert (start.step, start.session_log.status) == (8, SessionLog.START)
    assert [event.step for event in others] == [8, 9]
    assert not any(event.HasField("session_log") for event in others)


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=re.escape(f"{tmp_path / 'file' / 'a'}: ")):
        Events(tmp_path / "file").add("a", 1)


@pytest.mark.parametrize("variant", cases(VARIANTS, default=VARIANTS[1:3]), ids=str)
def test_every_loop_writes_the_same_tags_at_the_same_steps(variant, written_by, weight_names):
    folder = written_by(*variant)
    at_epochs = [
        *("loss/evaluation", "accuracy/running", "accuracy/evaluation"),
        *("optimizer/learning_rate", "norms/gradients"),
        *("speed/examples_per_second", "speed/milliseconds_per_step", "pictures/first_layer"),
        *(
            f"{kind}/{name}"
            for kind in ("weights", "weight_gradients", "norms/weights")
            for name in weight_names
        ),
    ]
    validation = ["loss/evaluation", "accuracy/evaluation", "pictures/confusion", "pictures/mistakes"]
    validation += [f"pr/{number}/pr_curves" for number in range(3)]
    assert {key: list(steps) for key, steps in events(folder).items()} == {
        ("train", "graph"): [0],
        ("train", "pictures/samples"): [0],
        ("train", "loss/batch"): [4, 8, 12],
        ("train", "loss/running"): [4, 6, 8, 12],
        **{("train", tag): [6, 12] for tag in at_epochs},
        **{("validation", tag): [6, 12] for tag in validation},
    }
    plugins = {tag.split("/")[0]: plugin for _, plugin, tag in series(folder)}
    assert plugins == {
        "__run_graph__": "graphs",
        **dict.fromkeys(("loss", "accuracy", "optimizer", "norms", "speed"), "scalars"),
        **{"weights": "histograms", "weight_gradients": "histograms"},
        **{"pictures": "images", "pr": "pr_curves"},
    }


@pytest.mark.thorough
def test_every_loop_writes_the_same_values(write, tmp_path):
    values = []
    for loop, steps_per_execution in VARIANTS:
        folder = tmp_path / f"{loop}{steps_per_execution}"
        written = write(folder, loop, steps_per_execution=steps_per_execution)
        values.append(
            {
                key: {step: bits(value) for step, value in steps.items()}
                for key, steps in written.events.items()
                if key[1] != "graph" and not key[1].startswith("speed")
            }
        )
    assert all(other == values[0] for other in values)
    assert len(set(values[0]["train", "loss/batch"].values())) == 3


@pytest.fixture
def tensorboard(written_by, tmp_path):
    """A function that gets JSON from a real TensorBoard server, which shows a run of each loop."""
    for loop, steps_per_execution in (*VARIANTS[1:3], VARIANTS[4]):
        shutil.copytree(written_by(loop, steps_per_execution), tmp_path / loop)

    server = program.TensorBoard()
    # It reads all before it answers. In this process, TensorFlow need not be imported again.
    read = {"load_fast": "false", "reload_task": "blocking", "reload_interval": 0}
    server.configure(logdir=str(tmp_path), host="127.0.0.1", port=0, **read)
    address = server.launch()

    def get(path):
        with urllib.request.urlopen(address + path, timeout=30) as answer:
            return json.load(answer)

    return get


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorBoard's own
def test_tensorboard_lists_the_runs_with_their_tags_and_graphs(tensorboard):
    expected = {f"{loop}/{sub_run}" for loop in LOOPS for sub_run in ("train", "validation")}
    assert set(tensorboard("data/runs")) == expected
    scalars = tensorboard("data/plugin/scalars/tags")
    for loop in LOOPS:
        assert set(scalars[f"{loop}/validation"]) == {"loss/evaluation", "accuracy/evaluation"}
        assert "loss/batch" in scalars[f"{loop}/train"]
        points = tensorboard(f"data/plugin/scalars/scalars?run={loop}/train&tag=loss/running")
        assert [step for _, step, _ in points] == [4, 6, 8, 12]
    graphs = tensorboard("data/plugin/graphs/info")
    assert {run for run in graphs if graphs[run]["run_graph"]} == {f"{loop}/train" for loop in LOOPS}
