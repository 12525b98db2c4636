from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import Status

from helpers import events
from kerasmlp.tensorboard import hparams
from kerasmlp.tensorboard.events import Events

METRICS = {"loss": 0.5, "test_f1": 0.75, "test_loss": None, "epochs": 3, "test_note": "x", "other": 1.5}


def test_the_final_metrics_are_the_known_ones_and_others_of_the_trained_model():
    assert hparams.final(METRICS) == {"loss": 0.5, "test_f1": 0.75}
    backwards = dict.fromkeys(("test_f1", *reversed(hparams.METRICS)), 1.0)
    assert list(hparams.final(backwards)) == [*hparams.METRICS, "test_f1"]


def test_the_final_metrics_are_scalars(tmp_path):
    files = Events(tmp_path)
    hparams.write_metrics(files, "train", 7, METRICS)
    files.close()
    assert events(tmp_path) == {
        ("train", "trained/loss"): {7: 0.5},
        ("train", "trained/test_f1"): {7: 0.75},
    }


def test_a_row_has_its_name_its_settings_and_a_column_for_each_metric(tmp_path):
    files = Events(tmp_path)
    settings = {"seed": 3, "hidden_units": (4, 5)}
    hparams.write(files, ".", 7, "mine", "graph", settings, METRICS)
    hparams.write(files, "other", 7, "plain", "fit", {}, METRICS)
    files.close()

    def content(folder):
        (path,) = folder.glob("events.*")
        (event,) = (event for event in EventFileLoader(str(path)).Load() if event.summary.value)
        assert event.step == 7
        experiment, start, end = (value.metadata.plugin_data.content for value in event.summary.value)
        assert metadata.parse_session_end_info_plugin_data(end).status == Status.STATUS_SUCCESS
        return (
            metadata.parse_experiment_plugin_data(experiment),
            metadata.parse_session_start_info_plugin_data(start),
        )

    experiment, row = content(tmp_path)
    assert [column.name for column in experiment.hparam_infos] == ["loop", "settings"]
    columns = [*hparams.METRICS, "test_f1"]
    shown = [(each.name.tag, each.display_name) for each in experiment.metric_infos]
    assert shown == [(f"trained/{column}", column) for column in columns]
    assert row.group_name == "mine"
    values = {name: value.string_value for name, value in row.hparams.items()}
    assert values == {"loop": "graph", "settings": "seed 3, hidden_units 4 5"}
    assert content(tmp_path / "other")[1].hparams["settings"].string_value == "default"
