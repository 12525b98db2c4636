"""Checkpoints are written, pruned, damaged and resumed from, in any order.

The steps of a run are taken by hand: they change what a training changes, and call the hooks.
`--hypothesis-profile thorough` tries many more orders.
"""

import contextlib
import functools
import io
import itertools
import math
import os
import resource
import shutil
import signal

import keras
import numpy as np
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kerasmlp.callbacks import Interrupted, Interruption
from kerasmlp.checkpoints import Checkpoint, Checkpoints, atomic, put_variables
from kerasmlp.checkpoints.state import capture
from kerasmlp.runs import run_folder

STEPS = 3
"""Of an epoch."""
DAMAGED = None
"""What is known of a damaged checkpoint."""
FULL = 1000
"""The bytes that a full disk takes of a file. A checkpoint has more, the history fewer."""
ORDERS = settings(max_examples=settings().max_examples // 2, stateful_step_count=10)


@functools.cache
def trained():
    """A model with its optimizer and metrics. All runs change the same one."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def variables():
    return {name: array.tobytes() for name, array in capture(trained(), [])[0].items()}


def file_name(step):
    return f"step-{step:09}.npz"


class Run(RuleBasedStateMachine):
    """A run in a folder, and what the folder must hold.

    Attributes:
        saved: what each checkpoint holds, by its step: the variables, the lowest loss of an epoch with
            the weights after it, and the text of the history.
        parts: the names of the files that were half written when a process was killed.
    """

    def __init__(self, folder):
        super().__init__()
        self.folder, self.files = folder, folder / run_folder.CHECKPOINTS
        self.files.mkdir(parents=True)
        (self.files / run_folder.BEST).touch()  # it stays, whatever comes
        self.history = folder / run_folder.HISTORY
        self.numbers = np.random.default_rng(0)
        self.saved, self.parts = {}, []

    def teardown(self):
        shutil.rmtree(self.folder)

    def whole(self):
        return sorted(step for step, held in self.saved.items() if held is not DAMAGED)

    @invariant()
    def the_newest_whole_checkpoint_is_found_as_it_was_saved(self):
        checkpoints, whole = Checkpoints(self.files, 1), self.whole()
        names = [path.name for path in self.files.iterdir()]
        assert sorted(names) == sorted([run_folder.BEST, *map(file_name, self.saved), *self.parts])
        with contextlib.redirect_stderr(io.StringIO()) as warnings:
            if self.saved and not whole:
                with pytest.raises(ValueError, match=f"all {len(self.saved)} are damaged"):
                    checkpoints.newest()
                return
            found = checkpoints.newest()
        newest = max(whole, default=0)
        assert warnings.getvalue().count("is damaged") == sum(step > newest for step in self.saved)
        assert (found.state["step"] if found else 0) == newest
        if found:
            held, *_ = self.saved[newest]
            assert {name: found.arrays[name].tobytes() for name in held} == held

    @precondition(lambda self: self.whole() or not self.saved)
    @rule(
        keep=st.integers(1, 3),
        every=st.integers(1, STEPS + 1),
        steps=st.integers(0, STEPS + 1),
        end=st.sampled_from(["killed", "interrupted", "disk full", "killed as it saves"]),
        data=st.data(),
    )
    def goes_on(self, keep, every, steps, end, data):
        """A new process begins the run, or goes on with it, until it ends."""
        self.keep = keep
        self.resume(keep, every)
        for step in range(self.step + 1, self.step + steps + 1):
            self.take_a_step()
            if step // every > (step - 1) // every:
                self.note()
        self.checkpoints.wait()
        self.the_newest_whole_checkpoint_is_found_as_it_was_saved()
        if end != "killed":
            self.interruption.received = signal.SIGTERM
        if end == "interrupted":
            self.take_the_last_step(Interrupted)
            self.note()
        elif end == "disk full":
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (FULL, limits[1]))
            try:
                self.take_the_last_step(OSError)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        elif end == "killed as it saves":
            has_its_name = data.draw(st.booleans(), "the file has its name")
            self.take_the_last_step(Interrupted, killed_at_flush=int(has_its_name))
            if has_its_name:
                self.saved[self.step] = self.held  # and nothing has been removed
            else:
                part = self.files / f"{atomic.PART}{file_name(self.step)}"
                os.truncate(part, data.draw(st.integers(0, part.stat().st_size), "written"))
                self.parts = [part.name]
        self.checkpoints.close()

    def resume(self, keep, every):
        self.step = max(self.whole(), default=0)
        self.checkpoints, self.interruption = Checkpoints(self.files, keep), Interruption()
        self.change_variables()  # a new process has other values
        with contextlib.redirect_stderr(io.StringIO()):
            resumed = self.checkpoints.newest()
        if resumed:
            put_variables(trained(), resumed.arrays, "model", "optimizer")
        run_folder.cut(self.folder, resumed.state["files"] if resumed else {})
        self.parts, history = [], keras.callbacks.History()
        checkpoint = Checkpoint(
            self.checkpoints,
            (every, "step"),
            "val_loss",
            [history],
            lambda: {"files": run_folder.lengths(self.folder)},
            self.interruption,
            resumed,
        )
        self.hooks = keras.callbacks.CallbackList(
            [history, checkpoint], model=trained(), steps=STEPS, epochs=10**6
        )
        self.hooks.on_train_begin()
        if self.step % STEPS:
            self.hooks.on_epoch_begin(self.step // STEPS)
        held, self.best, text = self.saved[self.step] if resumed else ({}, (math.inf, []), "")
        found = variables()
        for name in held:
            if self.step % STEPS or not name.startswith("metrics/"):  # which begin anew in each epoch
                assert found[name] == held[name], name
        assert [array.tobytes() for array in checkpoint.best_weights] == self.best[1]
        assert (self.history.read_text() if self.history.exists() else "") == text

    def change_variables(self):
        model = trained()
        for variable in (*model.variables, *model.optimizer.variables, *model.metrics_variables):
            variable.assign(1e6 * self.numbers.random(variable.shape).astype(variable.dtype))

    def take_a_step(self):
        epoch, batch = divmod(self.step, STEPS)
        if batch == 0:
            self.hooks.on_epoch_begin(epoch)
        self.change_variables()
        loss = int(self.numbers.integers(5))  # often that of another epoch
        with self.history.open("a") as file:
            file.write(f"{loss}\n")
        self.step += 1
        if self.step % STEPS == 0 and loss < self.best[0]:
            self.best = loss, [array.tobytes() for array in trained().get_weights()]
        self.held = variables(), self.best, self.history.read_text()
        self.hooks.on_train_batch_end(batch)
        if self.step % STEPS == 0:
            self.hooks.on_epoch_end(epoch, {"val_loss": loss})

    def note(self):
        """A checkpoint has been saved. Those of later steps are damaged, and go."""
        self.saved[self.step] = self.held
        kept = sorted(step for step in self.saved if step <= self.step)[-self.keep :]
        self.saved = {step: self.saved[step] for step in kept}

    def take_the_last_step(self, error, killed_at_flush=None):
        """Of a process that is killed at a flush to the disk, the folder is as it was then."""
        left, flushes = self.folder.with_name("left"), itertools.count()

        def fsync(descriptor):
            if next(flushes) == killed_at_flush:
                shutil.copytree(self.folder, left)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with pytest.raises(error):
                self.take_a_step()
        if killed_at_flush is not None:
            shutil.rmtree(self.folder)
            left.rename(self.folder)

    @precondition(lambda self: self.whole())
    @rule(
        number=st.integers(0, 1), damage=st.sampled_from(["flipped", "cut", "removed"]), data=st.data()
    )
    def is_damaged(self, number, damage, data):
        """The newest whole checkpoint, or the one before it."""
        step = self.whole()[-1 - number % len(self.whole())]
        path = self.files / file_name(step)
        if damage == "removed":
            path.unlink()
            del self.saved[step]
            return
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1), "place")
        content[place] ^= 1
        path.write_bytes(content[:place] if damage == "cut" else content)
        self.saved[step] = DAMAGED

    @precondition(lambda self: self.saved and not self.whole())
    @rule()
    def all_that_is_damaged_is_given_up(self):
        for step in self.saved:
            (self.files / file_name(step)).unlink()
        self.saved.clear()


def test_a_run_goes_on_from_the_newest_whole_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # it takes milliseconds
    run_state_machine_as_test(lambda: Run(tmp_path / "run"), settings=ORDERS)
