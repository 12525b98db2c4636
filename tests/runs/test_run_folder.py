import json
from pathlib import Path

import pytest
import tensorflow as tf

from kerasmlp.runs import environment, run_folder
from kerasmlp.runs.settings import Settings


def test_a_run_without_a_name_never_takes_the_folder_of_another(tmp_path):
    folders = {run_folder.create(tmp_path / "all/logs", None, "fit-seed0") for _ in range(4)}
    assert len(folders) == 4
    assert all(folder.is_dir() and "-fit-seed0" in folder.name for folder in folders)


def test_a_name_that_exists_is_refused(tmp_path):
    folder = run_folder.create(tmp_path, "mine", "")
    assert folder == tmp_path / "mine"
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("mine", "dangling"):
        with pytest.raises(FileExistsError, match=f"expected the name of a new run; .*{name} exists"):
            run_folder.create(tmp_path, name, "")


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "config.json"
    run_folder.write_json(path, Settings(logdir=Path("x")))
    before = path.read_text()
    assert json.loads(before)["logdir"] == "x"
    with pytest.raises(ValueError, match="Circular"):
        loop = []
        loop.append(loop)
        run_folder.write_json(path, loop)
    assert path.read_text() == before


def test_the_environment_names_versions_and_machine():
    found = environment()
    assert found["versions"]["tensorflow"] == tf.__version__
    assert found["machine"]["cores"] >= 1
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and "model name" in cpuinfo.read_text():
        assert f"model name\t: {found['machine']['processor']}\n" in cpuinfo.read_text()


def test_what_a_killed_run_has_half_written_is_removed_and_what_it_appended_is_cut(tmp_path):
    history, events = tmp_path / "history.csv", tmp_path / "train/events.out.tfevents.1"
    for path in (history, events):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"kept")
    kept = run_folder.lengths(tmp_path)
    assert kept == {"history.csv": 4, "train/events.out.tfevents.1": 4}
    for path in (history, events):
        path.write_bytes(b"kept and more")
    later = tmp_path / "train/events.out.tfevents.2"
    for half in (".part-model.keras", "checkpoints/.part-step-1.npz", "train/events.out.tfevents.2"):
        (tmp_path / half).parent.mkdir(exist_ok=True)
        (tmp_path / half).write_bytes(b"half")
    (tmp_path / "export/.part-1/.part-2").mkdir(parents=True)  # an export was killed
    (tmp_path / "export/.part-1/model.tflite").touch()
    run_folder.cut(tmp_path, kept)
    assert history.read_bytes() == events.read_bytes() == b"kept"
    assert not later.exists()
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".part-")]
