"""All that a run writes for TensorBoard, read back."""

import dataclasses
import json
import shutil
from typing import get_args

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.hparams.api_pb2 import Status
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

import helpers
import kerasmlp
from helpers import cases, compiled, events, save_npz, series
from kerasmlp.checkpoints import Contents
from kerasmlp.checkpoints.state import capture
from kerasmlp.data import Batches, Examples
from kerasmlp.data.loader import MNISTLoader
from kerasmlp.loops import build
from kerasmlp.runs import run_folder
from kerasmlp.runs.evaluation import measure
from kerasmlp.runs.fit_settings import FitSettings
from kerasmlp.runs.record import _restore, _table, opened
from kerasmlp.runs.run_settings import SummaryName
from kerasmlp.runs.settings import Settings
from kerasmlp.runs.versions import versions
from kerasmlp.train import train
from small_models import dense

WEIGHTS = [f"dense{layer}/{kind}" for layer in (1, 2) for kind in ("kernel", "bias")]
FINAL = [
    *(f"{name}_{metric}" for name in ("test", "validation") for metric in ("accuracy", "loss")),
    *("best_validation_accuracy", "best_validation_loss", "accuracy", "loss", "seconds_per_epoch"),
]
SCALARS = {("train", "scalars", f"trained/{name}") for name in FINAL}
TRAIN = [
    *("loss/running", "loss/evaluation", "accuracy/running", "accuracy/evaluation", "norms/gradients"),
    *("optimizer/learning_rate", "speed/examples_per_second", "speed/milliseconds_per_step"),
    *(f"norms/weights/{name}" for name in WEIGHTS),
]
EVALUATED = ["loss/evaluation", "accuracy/evaluation"]
DASHBOARDS = {
    "scalars": {
        *(("train", "scalars", tag) for tag in TRAIN),
        *(("validation", "scalars", tag) for tag in EVALUATED),
        *SCALARS,
    },
    "graphs": {("train", "graphs", "__run_graph__")},
    "histograms": {
        ("train", "histograms", f"{kind}/{name}")
        for kind in ("weights", "weight_gradients")
        for name in WEIGHTS
    },
    "images": {
        *(("train", "images", f"pictures/{name}") for name in ("samples", "first_layer")),
        *(("validation", "images", f"pictures/{name}") for name in ("confusion", "mistakes")),
        *(("train", "images", f"trained/{name}") for name in ("first_layer", "confusion", "mistakes")),
    },
    "pr_curves": {
        (sub_run, "pr_curves", f"{group}/{number}/pr_curves")
        for sub_run, group in (("validation", "pr"), ("train", "trained/pr"))
        for number in range(3)
    },
    "hparams": {
        *SCALARS,
        *(
            ("train", "hparams", f"_hparams_/{name}")
            for name in ("experiment", "session_start_info", "session_end_info")
        ),
    },
    "text": {("train", "text", tag) for tag in ("settings", "command", "versions")},
    "projector": set(),
}
"""What each of them shows: (sub-run, plugin, tag)."""


def small(tmp_path, **given):
    given = {"epochs": 3, "validation_size": 15, "batch_size": 5, "hidden_units": (4,), **given}
    return Settings(logdir=tmp_path / "logs", name="small", jit_compile=False, **given)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, digits):
    """The folder of a run of 3 epochs of 5 steps, and its metrics."""
    folder = tmp_path_factory.mktemp("recording")
    return train(small(folder, data=str(save_npz(folder, digits))))


def test_a_run_writes_these_series_and_no_other(finished):
    folder, _ = finished
    assert series(folder) == set().union(*DASHBOARDS.values())
    steps = {key: list(values) for key, values in events(folder).items()}
    assert {step for (_, tag), at in steps.items() for step in at if tag.startswith("trained")} == {15}
    assert steps["train", "pictures/first_layer"] == [5, 10]
    assert steps["validation", "pictures/mistakes"] == steps["validation", "pr/1/pr_curves"] == [5, 10]
    assert steps["train", "loss/running"] == steps["validation", "loss/evaluation"] == [5, 10, 15]
    assert (
        steps["train", "settings"]
        == steps["train", "graph"]
        == steps["train", "pictures/samples"]
        == [0]
    )


@pytest.fixture
def resumed(digits):
    """Restores a model of 3 epochs of 4 steps from a checkpoint with some state; returns the step."""
    images, labels = digits
    model, other = compiled(dense), compiled(dense)
    examples = Examples(images, labels, are_images=True)
    task = helpers.task(model, Batches(images, labels, 10), examples)
    build(other, task.batches)  # the optimizer of the model has no variables yet
    arrays = {name: array + 1 for name, array in capture(other, [])[0].items()}

    def resumed(epochs=3, **changed):
        state = {"data": "of the data", "step": 6, "versions": versions(), "stopped": False, **changed}
        return _restore(task, Contents(arrays, state), epochs), model, arrays

    return resumed


@pytest.mark.parametrize(
    "changed, step, said",
    [
        ({}, 6, "resuming after step 6 of 12\n"),
        ({"step": 12}, 12, "resuming after step 12 of 12; all is trained, so it is only evaluated\n"),
        ({"step": 11}, 11, "resuming after step 11 of 12\n"),
        ({"stopped": True}, 12, "resuming after step 6 of 12\n"),
        ({"step": 4, "epochs": 1}, 4, "resuming after step 4 of 4; all is trained, so it is only"),
        ({"step": 4000, "epochs": 2000}, 4000, "resuming after step 4,000 of 8,000\n"),
        ({"versions": {}}, 6, "warning: the run was begun with other versions, which may round differ"),
    ],
)
def test_a_resumed_run_goes_on_after_its_checkpoint(changed, step, said, resumed, capsys):
    given = {"epochs": 3, **changed}
    first, model, arrays = resumed(**given)
    assert first == step
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert len(error.splitlines()) == 1 + ("versions" in changed)
    for name, array in capture(model, [])[0].items():
        if not name.startswith("metrics/"):
            assert np.array_equal(array, arrays[name]), name


@pytest.mark.parametrize(
    "changed, message",
    [
        (
            {"data": "of others"},
            "data: expected the data that the run was begun on; received 'digits.npz'",
        ),
        (
            {"step": 9, "epochs": 2},
            "epochs: expected at least 3, as many as the run has begun; received 2",
        ),
        ({"step": 12, "epochs": 2}, "epochs: expected at least 3, as many as the run has begun"),
    ],
)
def test_a_run_is_not_resumed_on_other_data_or_for_fewer_epochs(changed, message, resumed):
    with pytest.raises(ValueError, match=f"^{message}"):
        resumed(**changed)
    assert resumed(step=8, epochs=2)[0] == 8


@pytest.mark.parametrize(
    "value, cell",
    [
        (3, "`3`"),
        ((3, 4), "`3 4`"),
        ("", ""),
        ((), ""),
        (None, "`None`"),
        ("a|b", "`a\\|b`"),
    ],
)
def test_a_cell_of_a_table_holds_any_value(value, cell):
    assert _table({"name": value}) == f"| | |\n| --- | --- |\n| name | {cell} |"


@pytest.mark.parametrize(
    "summaries, tags", [((), set()), (("text",), {"settings", "command", "versions"})]
)
def test_a_new_run_is_opened_in_a_new_folder(summaries, tags, tmp_path):
    settings = FitSettings(seed=3, loop="graph", logdir=tmp_path, summaries=summaries)
    with opened(settings, None, None, first_step=5) as record:
        assert (record.folder / run_folder.LOCK).exists()
        assert record.folder.name.endswith("-graph-seed3")
        assert (record.resumed, record.initial_step, record.events.initial_step) == (None, 5, 5)
    assert not (record.folder / run_folder.LOCK).exists()
    assert FitSettings.read(record.folder / run_folder.SETTINGS) == settings
    assert {tag for _, tag in events(record.folder)} == tags
    with opened(dataclasses.replace(settings, name="a", resume=True), None, None) as named:
        assert named.folder == tmp_path / "a"
    assert not FitSettings.read(named.folder / run_folder.SETTINGS).resume


def test_a_run_that_has_no_checkpoint_begins_anew_in_its_folder(tmp_path):
    settings = FitSettings(logdir=tmp_path, name="a", summaries=(), resume=True)
    half = [tmp_path / "a" / name for name in ("history.csv", ".part-x", "train/events.out.tfevents.1")]
    (tmp_path / "a/train").mkdir(parents=True)
    for path in half:
        path.write_text("epoch")
    with opened(settings, None, tmp_path / "a") as record:
        assert (record.folder, record.resumed, record.initial_step) == (tmp_path / "a", None, 0)
        assert not any(path.exists() for path in half)


NAMES = [*get_args(SummaryName), None]


@pytest.mark.parametrize("name", cases(NAMES, default=[None]))
def test_each_can_be_chosen_alone(name, npz, tmp_path):
    chosen = small(tmp_path, data=str(npz), epochs=1, summaries=(name,) if name else ())
    folder, _ = train(chosen)
    assert series(folder) == (DASHBOARDS[name] if name else set())
    assert (folder / "train/projector_config.pbtxt").exists() == (name == "projector")
    assert bool(list(folder.rglob("events.*"))) == (name is not None)


def test_the_test_images_are_shown_as_the_trained_model_takes_them(finished, npz):
    folder, metrics = finished
    read, data = events(folder), MNISTLoader(str(npz))
    model = kerasmlp.load(folder / "model.keras")
    probabilities = model.predict(data.test_data / np.float32(255), verbose=0)
    result = measure(probabilities, data.test_label)
    for name in ("loss", "accuracy"):
        assert read["train", f"trained/test_{name}"][15] == np.float32(metrics[f"test_{name}"])
    assert read["train", "trained/test_accuracy"][15] == np.float32(result.accuracy)
    for number in range(3):
        true_positives, false_positives = read["train", f"trained/pr/{number}/pr_curves"][15][:2, 0]
        assert true_positives == result.support[number]
        assert true_positives + false_positives == len(data.test_label)


def test_hparams_ranks_the_run(finished):
    folder, metrics = finished
    (path,) = folder.glob("train/events.*")
    content = {
        value.tag: value.metadata.plugin_data.content
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
    }
    start = hparams_metadata.parse_session_start_info_plugin_data(
        content[hparams_metadata.SESSION_START_INFO_TAG]
    )
    assert start.group_name == "small"
    values = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    assert values == {
        "loop": "fit",
        "settings": "epochs 3, batch_size 5, hidden_units 4, validation_size 15, jit_compile False,"
        " data digits.npz",
    }
    end = hparams_metadata.parse_session_end_info_plugin_data(
        content[hparams_metadata.SESSION_END_INFO_TAG]
    )
    assert end.status == Status.STATUS_SUCCESS
    experiment = hparams_metadata.parse_experiment_plugin_data(content[hparams_metadata.EXPERIMENT_TAG])
    assert {info.name for info in experiment.hparam_infos} == set(values)
    shown = {info.name.tag for info in experiment.metric_infos}
    assert {tag for _, _, tag in SCALARS} <= shown
    history = np.genfromtxt(folder / "history.csv", delimiter=",", names=True)
    assert metrics["best_validation_accuracy"] == pytest.approx(history["val_accuracy"].max())
    assert metrics["best_validation_loss"] == pytest.approx(history["val_loss"].min())
    assert metrics["loss"] == pytest.approx(history["loss"][-1])


def test_the_texts_name_settings_command_and_versions(finished):
    folder, metrics = finished
    read = events(folder)
    texts = {tag: read["train", tag][0].item().decode() for tag in ("settings", "command", "versions")}
    settings = json.loads((folder / "config.json").read_text())
    for name in dataclasses.asdict(Settings()):
        assert f"| {name} | " in texts["settings"]
    assert f"| data | `{settings['data']}` |" in texts["settings"]
    assert "| hidden_units | `4` |" in texts["settings"]
    assert "pytest" in texts["command"] or "python" in texts["command"]
    assert f"| tensorflow | `{metrics['versions']['tensorflow']}` |" in texts["versions"]


def test_projector_is_given_activations_labels_and_images(finished, npz):
    folder, _ = finished
    data, shown = MNISTLoader(str(npz)), folder / "train"
    config = text_format.Parse((shown / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (embedding,) = config.embeddings
    points, units = embedding.tensor_shape
    assert (points, units) == (10, 4)
    model = kerasmlp.load(folder / "model.keras")
    x = data.test_data / np.float32(255)
    activations = np.fromfile(shown / embedding.tensor_path, "<f4").reshape(points, units)
    assert activations == pytest.approx(np.array(model.activations(x)), rel=1e-5)
    said = model.predict(x, verbose=0).argmax(axis=1)
    lines = (shown / embedding.metadata_path).read_text().splitlines()
    pairs = zip(data.test_label, said, strict=True)
    assert lines == ["label\tpredicted", *(f"{label}\t{other}" for label, other in pairs)]
    width, height = embedding.sprite.single_image_dim
    with Image.open(shown / embedding.sprite.image_path) as sprite:
        pixels = np.asarray(sprite)
    columns = pixels.shape[1] // width
    for number, image in enumerate(data.test_data[..., 0]):
        row, column = divmod(number, columns)
        part = pixels[row * height :, column * width :][:height, :width]
        black = part[0, 0] if not image[0, 0] else None
        assert (part[image == 255] == 255).all()
        assert black is None or (part[image == 0] == black).all()


def test_a_run_that_goes_on_has_no_step_twice(finished, npz, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "logs/small")
    train(small(tmp_path, data=str(npz), resume=True, epochs=4))
    read = events(folder)  # where a step that is there twice fails
    assert list(read["train", "loss/running"]) == [5, 10, 15, 20]
    assert list(read["validation", "pictures/confusion"]) == [5, 10, 20]
    assert list(read["train", "trained/confusion"]) == list(read["train", "trained/test_loss"]) == [20]
    assert list(read["train", "command"]) == [0, 15]


def test_without_validation_there_is_none_to_show(npz, tmp_path):
    folder, metrics = train(small(tmp_path, data=str(npz), epochs=1, validation_size=0))
    assert "validation" not in {sub_run for sub_run, _, _ in series(folder)}
    assert metrics["best_validation_accuracy"] is None
    assert ("train", "trained/best_validation_loss") not in events(folder)
