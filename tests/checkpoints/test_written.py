import pytest
from keras.callbacks import CSVLogger, TensorBoard

from kerasmlp.checkpoints import written


@pytest.fixture
def logger(tmp_path):
    (tmp_path / "[a].csv").write_text("epoch\n0\n")
    (tmp_path / "a.csv").write_text("another file")
    return CSVLogger(tmp_path / "[a].csv")


@pytest.fixture
def board(tmp_path):
    for name in ("train/events.out.tfevents.1", "validation/events.out.tfevents.2", "train/notes"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return TensorBoard(tmp_path)


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()
    }


def test_files_are_cut_to_their_lengths_and_newer_ones_removed(logger, board, tmp_path):
    before, lengths = content(tmp_path), written.lengths([logger, board])
    assert lengths[0] == {"[a].csv": 8}
    (tmp_path / "[a].csv").write_text("epoch\n0\n1\n")
    (tmp_path / "train/events.out.tfevents.1").write_text("train/events.out.tfevents.1 and more")
    (tmp_path / "train/events.out.tfevents.3").write_text("newer")
    written.go_on([logger, board], lengths)
    assert content(tmp_path) == before
    assert logger.append
    assert not board.write_graph


def test_nothing_is_changed_where_a_file_is_not_the_one_of_the_run(logger, board, tmp_path, capsys):
    lengths = written.lengths([logger, board])
    (tmp_path / "train/events.out.tfevents.1").write_text("short")
    (tmp_path / "train/events.out.tfevents.3").write_text("of another run")
    before = content(tmp_path)
    other = CSVLogger(tmp_path / "a.csv")
    written.go_on([other, board], lengths)
    assert content(tmp_path) == before
    assert other.append
    assert capsys.readouterr().err.splitlines() == [
        "warning: CSVLogger: expected [a].csv of at least 8 bytes; received 0; what it wrote before the"
        " checkpoint is not complete",
        "warning: TensorBoard: expected train/events.out.tfevents.1 of at least 27 bytes; received 5;"
        " what it wrote before the checkpoint is not complete",
    ]


def test_other_callbacks_are_refused(logger, board):
    with pytest.raises(ValueError, match="expected 1 of CSVLogger and TensorBoard; received 2"):
        written.go_on([logger, board], written.lengths([logger]))
