"""The progress of a comparison, as a terminal and as a file show it."""

import io
import re

import pytest
from rich.console import Console

from kerasmlp.comparison import progress as module
from kerasmlp.comparison.progress import RowProgress
from kerasmlp.comparison.row import Row

ROWS = [Row("fit", "fit"), Row("[bold]:x:", "nowhere:mine"), Row("x" * 70, "nowhere:long")]
FIT, HOSTILE, LONG = (row.name for row in ROWS)


@pytest.fixture
def progress():
    made = RowProgress(ROWS)
    made.phase("agreement", 2400)
    return made


def lines(progress):
    """What a terminal of 80 columns shows of each row: its name, and how far it is."""
    text = io.StringIO()
    Console(file=text, width=80).print(progress.get_renderable())
    return [re.sub(r" *━[━╸╺ ]* *", " | ", line).strip() for line in text.getvalue().splitlines()]


def tasks(progress):
    return {task.description.removeprefix("agreement: "): task for task in progress.tasks}


def test_rows_that_wait_are_not_shown(progress):
    assert "".join(lines(progress)) == ""
    assert [task.started for task in progress.tasks] == [False] * 3  # their clocks stand


def test_a_row_that_starts_moves(progress):
    progress.starting(FIT)
    assert [task.started for task in progress.tasks] == [True, False, False]
    (line,) = lines(progress)
    assert re.fullmatch(r"[-\\|/] agreement: fit \| starting 0:00:00", line)
    task = tasks(progress)[FIT]
    assert task.total is None  # the bar moves without an end
    assert not task.finished  # the spinner turns
    progress.done(FIT, 0)
    assert "running" in lines(progress)[0]
    assert tasks(progress)[FIT].total is None


def test_a_row_shows_how_much_is_done(progress):
    progress.starting(FIT)
    progress.done(FIT, 1200)
    assert "agreement: fit | 1,200 of 2,400" in lines(progress)[0]
    assert tasks(progress)[FIT].percentage == 50
    assert not tasks(progress)[FIT].finished


def test_a_row_that_stopped_says_how_and_its_spinner_stands(progress):
    progress.starting(FIT)
    progress.starting(HOSTILE)
    progress.done(FIT, 1200)
    progress.stopped(FIT, "trained")
    progress.stopped(HOSTILE, "failed")
    shown = lines(progress)
    assert shown[0].startswith("agreement: fit | trained")
    assert shown[1].startswith(f"agreement: {HOSTILE} | failed")
    assert all(task.finished for task in progress.tasks if task.visible)


def test_a_row_that_ended_has_no_bar(progress):
    progress.starting(FIT)
    progress.starting(HOSTILE)
    progress.ended(FIT, "identical")
    (line,) = lines(progress)
    assert HOSTILE in line
    progress.done(FIT, 2400)  # too late
    assert len(lines(progress)) == 1


def test_the_next_phase_begins_without_bars(progress):
    progress.starting(FIT)
    progress.stopped(FIT, "failed")
    progress.phase("cost", 4)
    assert "".join(lines(progress)) == ""
    progress.starting(FIT)
    progress.done(FIT, 3)
    assert "cost: fit | 3 of 4" in lines(progress)[0]


def test_a_long_name_leaves_room_for_the_rest(progress):
    progress.starting(LONG)
    progress.done(LONG, 1200)
    assert re.search(r" agreement: x{20}… \| 1,200 of 2,400 0:00:00$", lines(progress)[0])
    text = io.StringIO()
    Console(file=text, width=200).print(progress.get_renderable())
    assert text.getvalue().count("━") == 10  # half of the bar


def test_a_file_gets_a_line_of_plain_text_for_each_row(capsys):
    with RowProgress(ROWS) as progress:
        progress.phase("agreement", 2400)
        for name in (FIT, HOSTILE, LONG):
            progress.starting(name)
            progress.done(name, 0)
            progress.done(name, 1200)
        progress.stopped(FIT, "trained")
        progress.stopped(HOSTILE, "failed")
        progress.ended(FIT, "identical")
        progress.ended(HOSTILE, "failed")
        progress.ended(LONG, "equal")
    assert capsys.readouterr().err.splitlines() == [
        "agreement: fit: identical",
        "agreement: [bold]:x:: failed",
        f"agreement: {LONG}: equal",
    ]


def test_on_a_terminal_the_lines_stay_and_the_bars_go(monkeypatch):
    text = io.StringIO()
    terminal = Console(file=text, force_terminal=True, width=80, height=20, legacy_windows=False)
    monkeypatch.setattr(module, "Console", lambda stderr: terminal)
    with RowProgress(ROWS) as progress:
        progress.phase("agreement", 2400)
        progress.starting(FIT)
        progress.starting(HOSTILE)
        progress.refresh()
        progress.ended(FIT, "identical")
    assert "\x1b[1A\x1b[2K" in text.getvalue().rpartition("starting")[2]  # the last bar is erased
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text.getvalue())
    assert re.search("agreement: fit +━", plain)
    assert "starting" in plain
    line = "agreement: fit: identical"
    assert line in plain
    assert FIT not in plain.partition(line)[2]
