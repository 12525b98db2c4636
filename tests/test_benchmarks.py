"""The benchmarks measure what they say; no time is asserted."""

import pytest

from benchmarks import clusters, layouts, quantized
from benchmarks.__main__ import FIT, FLOOR, Settings, installed, main, markdown, ratio, rounds
from benchmarks.commands import stall_cells
from benchmarks.contenders import CONTENDERS
from benchmarks.worker import Problem, Turns
from kerasmlp.processes.process import Process


@pytest.mark.thorough
def test_contenders_have_their_turns_in_processes_of_their_own():
    rows = {name: (name, Problem("mnist5k", 200)) for name in ("kerasmlp graph", FLOOR)}
    found = rounds(rows, Settings(repeats=2, sittings=1))
    for row in found.values():
        assert len(row["seconds"]) == 2
        assert row["peak_megabytes"] > 20
    assert found[FLOOR]["peak_megabytes"] < found["kerasmlp graph"]["peak_megabytes"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", [FIT, "kerasmlp fit, all callbacks", "JAX, lax.scan", "PyTorch, fused Adam"]
)
def test_a_contender_learns(name):
    if not installed(name):
        pytest.skip("its framework is not installed")
    with Process("benchmarks.worker:serve", name, Problem("mnist5k")) as process:
        for _ in range(3):
            process.send(True)
            _, accuracy, _ = process.receive(120)
    assert accuracy > 0.85


@pytest.mark.thorough
def test_the_steps_of_all_layouts_train_the_same_weights():
    found = layouts.measure(2)  # which compares the weights
    assert [len(row["seconds"]) for row in found.values()] == [2, 2, 2]


@pytest.mark.thorough
def test_integers_are_trained_exported_and_run():
    pytest.importorskip("ai_edge_litert")
    found = quantized.measure("mnist5k", seeds=2)
    assert {*found} == {*quantized.ROWS}
    assert all(row["mean"] > 0.9 for row in found.values())
    assert found["float"]["bytes"] > 3 * max(row["bytes"] for row in [*found.values()][1:])


@pytest.mark.thorough
def test_workers_share_a_step(monkeypatch):
    for name, values in {"BATCHES": (50,), "UNITS": (100,), "WORKERS": (1, 2)}.items():
        monkeypatch.setattr(clusters, name, values)
    alone, shared = (row["milliseconds"] for row in clusters.measure(1).values())
    assert alone[0] > 0 and shared[0] > 0


def test_a_framework_that_is_missing_is_skipped_by_name(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    kept = [name for name in CONTENDERS if installed(name)]
    assert not any(name.startswith(("PyTorch", "JAX", "scikit")) for name in kept)
    assert "skipped: JAX, lax.scan: jax is not installed" in capsys.readouterr().err


def test_the_ratio_is_the_median_over_the_rounds():
    assert ratio({"seconds": [1, 2, 100]}, {"seconds": [3, 4, 100]}) == 2


def test_a_turn_is_answered_with_its_seconds_and_the_accuracy_when_asked():
    class Talk:
        def __init__(self):
            self.sent = []

        def receive(self):
            return len(self.sent) == 1

        def send(self, value):
            self.sent.append(value)

    talk = Talk()
    for _ in zip(range(4), Turns(talk).each(lambda: 0.5), strict=False):
        pass
    assert [accuracy for _, accuracy, _ in talk.sent] == [None, 0.5, None]


def test_whole_commands_want_a_file(capsys):
    assert main(["--data", "mnist", "--parts", "commands"]) == 2
    assert capsys.readouterr().err.startswith("error: --data: expected an .npz file")


def test_the_table_has_a_line_a_row():
    rows = {FIT: {"seconds": [0.5, 0.25, 1.0], "peak_megabytes": 1234.5}}
    assert markdown("epochs", rows).splitlines()[-1].split() == (
        f"| {FIT} | 0.500 | 0.250 | 1.000 | 1.00 | 1,234 |".split()
    )


def test_a_run_that_waited_is_told_from_one_on_a_busy_machine():
    def cells(busy_of_the_slowest):
        row = {"seconds": [2.0] * 4 + [3.0], "processor_seconds": [1.0] * 4 + [busy_of_the_slowest]}
        return list(stall_cells(row).values())

    assert cells(1.0) == ["2.00", "3.00", "1.50", "1.00"]
    assert cells(1.5)[-1] == "1.50"
