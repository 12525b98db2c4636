"""Seeds that are interrupted, killed and resumed in any order end with the table of undisturbed ones.

A stand-in trains: an epoch is a byte in a file. `--hypothesis-profile thorough` tries many more orders.
"""

import contextlib
import dataclasses
import functools
import io
import os
import random
import shutil
import signal
import types

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from kerasmlp.callbacks import Interrupted
from kerasmlp.runs import repetition, run_folder

EPOCHS = "epochs"
"""The file with a byte for each epoch that a run has saved."""
ORDERS = settings(max_examples=settings().max_examples // 3, stateful_step_count=10)


class KilledError(BaseException):
    """Stands for SIGKILL, which nothing handles."""


ENDS = {
    "interrupted": functools.partial(Interrupted, signal.SIGINT, resume_command="this run alone"),
    "failed": functools.partial(FloatingPointError, "the loss is nan"),
    "killed": KilledError,
}


class Seeds(RuleBasedStateMachine):
    """Runs of several seeds, and what they must have come to.

    Attributes:
        seeds, epochs: what was last asked for.
        saved: how many epochs a run has saved, by its folder.
        ended: the epochs of the runs that have ended, by their folders.
        table: the content of `seeds.json`, None as long as there is none.
    """

    def __init__(self, logdir, patch):
        super().__init__()
        self.logdir, self.folder = logdir, logdir / "mine"
        self.seeds, self.epochs = 2, 1
        self.saved, self.ended, self.table = {}, {}, None
        patch.setattr(repetition, "_run", self.run_seed)
        patch.setattr(repetition, "Workers", self.workers)

    def teardown(self):
        shutil.rmtree(self.logdir, ignore_errors=True)

    @rule(
        jobs=st.integers(1, 3),
        order=st.permutations(range(6)),
        more_seeds=st.sampled_from([0, 0, 1]),
        more_epochs=st.sampled_from([0, 0, 1]),
        end=st.none() | st.tuples(st.sampled_from([*ENDS]), st.integers(0, 5)),
    )
    def repeats(self, jobs, order, more_seeds, more_epochs, end):
        """The command is called. It may end in some way, after so many epochs of all runs."""
        self.seeds, self.epochs = min(6, self.seeds + more_seeds), self.epochs + more_epochs
        given = repetition.Repetition(
            seeds=self.seeds,
            epochs=self.epochs,
            jobs=jobs,
            logdir=self.logdir,
            name=self.folder.name,
            resume=self.folder.exists(),
            data="digits.npz",
            summaries=(),
        )
        left = [seed for seed in given.all_seeds if self.ended.get(self.of(seed)) != self.epochs]
        epochs = sum(self.epochs - self.saved.get(self.of(seed), 0) for seed in left)
        self.order, self.end, self.called = order, end, []
        how, after = end or (None, epochs)
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                folder, _ = repetition.repeat(given)
        except (Interrupted, FloatingPointError, KilledError) as error:
            assert after < epochs
            assert type(error) is type(ENDS[how]())
            if how == "interrupted":
                command = run_folder.resume_command("kerasmlp.seeds", self.folder)
                assert error.resume_command == command
            if how == "killed":
                (self.folder / run_folder.LOCK).touch()
            assert set(self.called) <= set(left)
        else:
            assert after >= epochs
            assert sorted(self.called) == left, "what has ended is not trained again"
            assert folder == self.folder
            self.table = self.undisturbed(given)
        path = self.folder / run_folder.SEEDS
        assert (path.read_text() if path.exists() else None) == self.table

    def of(self, seed):
        return self.folder / f"seed{seed}"

    def ended_here(self):
        return [path for path in self.ended if path.parent == self.folder]

    def undisturbed(self, given):
        self.end = None
        name = f"{given.seeds} seeds, {given.epochs} epochs"
        whole = dataclasses.replace(given, jobs=1, name=name, resume=False)
        if not (self.logdir / name).exists():
            with contextlib.redirect_stderr(io.StringIO()):
                repetition.repeat(whole)
        return (self.logdir / name / run_folder.SEEDS).read_text()

    def run_seed(self, given, folder, seed):
        """In the place of a training."""
        run = given.of_run(folder, seed)
        path = run.resumed_folder() or run_folder.create(run.logdir, run.name, "", run.resume)
        self.called.append(seed)
        with run_folder.locked(path):
            run_folder.write_json(path / run_folder.SETTINGS, dataclasses.replace(run, resume=False))
            file = path / EPOCHS
            file.touch()
            for epoch in range(len(file.read_bytes()), run.epochs):
                self.end_if_it_is_time()
                assert epoch == self.saved.get(path, 0), "an epoch is trained once"
                self.saved[path] = epoch + 1
                file.write_bytes(b"." * (epoch + 1))
            numbers = random.Random(f"{seed} {run.epochs}")
            names = ("test_accuracy", "test_loss", "seconds_per_epoch")
            measured = {name: numbers.random() for name in names}
            metrics = {"dataset": "digits", "parameters": 7, "epochs": run.epochs, **measured}
            run_folder.write_json(path / run_folder.METRICS, metrics)
            self.ended[path] = run.epochs
        return metrics

    def end_if_it_is_time(self):
        if self.end is not None:
            how, after = self.end
            if after == 0:
                raise ENDS[how]()
            self.end = how, after - 1

    @contextlib.contextmanager
    def workers(self, number, start):
        """In the place of processes, whose order nobody decides. `test_workers.py` has real ones."""
        yield types.SimpleNamespace(run=functools.partial(self.call, number))

    def call(self, number, calls):
        """Call functions in any order. If one ends, so do those that run beside it."""
        names = [[*calls][place] for place in self.order if place < len(calls)]
        results = {}
        for place, name in enumerate(names):
            try:
                results[name] = calls[name]()
            except BaseException:
                self.end = "interrupted", 0
                for other in names[place + 1 : place + number]:
                    with contextlib.suppress(Interrupted):
                        calls[other]()
                raise
        return results

    @precondition(lambda self: self.ended_here())
    @rule(number=st.integers(0), content=st.sampled_from([None, "", "{", "{}", "[]"]))
    def metrics_are_damaged(self, number, content):
        path = self.ended_here()[number % len(self.ended_here())]
        if content is None:
            (path / run_folder.METRICS).unlink()
        else:
            (path / run_folder.METRICS).write_text(content)
        del self.ended[path]


def test_seeds_end_with_the_table_of_undisturbed_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # it takes milliseconds
    run_state_machine_as_test(lambda: Seeds(tmp_path / "logs", monkeypatch), settings=ORDERS)
