import json
from pathlib import Path

import pytest
import tensorflow as tf

from kerasmlp.runs import environment, run_folder
from kerasmlp.runs.settings import Settings


def test_a_run_without_a_name_never_takes_the_folder_of_another(tmp_path):
    folders = {run_folder.create(tmp_path / "logs", None, "fit-seed0") for _ in range(4)}
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
