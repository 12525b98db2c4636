"""Where a run is written: its locked folder, its event files, its checkpoints."""

import contextlib
import dataclasses
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorboard.plugins.text.summary_v2 import text_pb

from kerasmlp.checkpoints import Checkpoints, Contents, put_variables
from kerasmlp.loops import build
from kerasmlp.runs import run_folder
from kerasmlp.runs.fields import SettingError
from kerasmlp.runs.run_settings import RunSettings
from kerasmlp.runs.task import Task
from kerasmlp.runs.versions import environment, versions
from kerasmlp.tensorboard import Events


@dataclasses.dataclass(frozen=True)
class Record:
    """Where a run is written. A new run has no checkpoint `resumed`, and the `initial_step` 0."""

    folder: Path
    events: Events
    checkpoints: Checkpoints
    resumed: Contents | None
    initial_step: int


@contextlib.contextmanager
def opened(
    settings: RunSettings, task: Task, folder: Path | None, first_step: int = 0
) -> Iterator[Record]:
    """Make a new run folder, or open the `folder` to resume. It is locked until the context ends.

    Files and variables become what they were at the newest checkpoint. Without one, the run begins with
    `first_step`.

    Raises:
        SettingError: the run to resume has other data, or more epochs.
        ValueError: none of its checkpoints is whole.
        OSError: the folder cannot be made or written, or another process has locked it.
    """
    default_name = f"{settings.loop}-seed{settings.seed}"
    if folder is None:
        folder = run_folder.create(settings.logdir, settings.name, default_name, settings.resume)
    with contextlib.ExitStack() as stack:
        stack.enter_context(run_folder.locked(folder))
        files = Checkpoints(folder / run_folder.CHECKPOINTS, settings.keep_checkpoints)
        stack.enter_context(contextlib.closing(files))
        resumed = files.newest() if settings.resume else None
        initial_step = first_step if resumed is None else _restore(task, resumed, settings.epochs)
        run_folder.cut(folder, {} if resumed is None else resumed.state["files"])
        run_folder.write_json(folder / run_folder.SETTINGS, dataclasses.replace(settings, resume=False))
        events = stack.enter_context(contextlib.closing(Events(folder, initial_step)))
        if "text" in settings.summaries:
            events.write("train", initial_step, text_pb, _texts(settings))
        yield Record(folder, events, files, resumed, initial_step)


def _restore(task: Task, resumed: Contents, epochs: int) -> int:
    """Set the model to the state of a checkpoint. Return the step to go on with."""
    state, steps = resumed.state, task.batches.steps_per_epoch
    if state["data"] != task.fingerprint:
        raise SettingError("data", "the data that the run was begun on", task.data)
    begun = -(-state["step"] // steps)
    if epochs < begun:
        raise SettingError("epochs", f"at least {begun}, as many as the run has begun", epochs)
    if state["versions"] != versions():
        warning = "warning: the run was begun with other versions, which may round differently"
        print(warning, file=sys.stderr)
    build(task.model, task.batches)
    put_variables(task.model, resumed.arrays, "model", "optimizer")
    ended = "; all is trained, so it is only evaluated" if state["step"] >= epochs * steps else ""
    print(f"resuming after step {state['step']:,} of {epochs * steps:,}{ended}", file=sys.stderr)
    return epochs * steps if state["stopped"] else int(state["step"])


def _texts(settings: RunSettings) -> dict[str, str]:
    known = environment()
    return {
        "settings": _table(dataclasses.asdict(settings)),
        "command": f"    {shlex.join(sys.orig_argv)}",
        "versions": _table({**known["versions"], **known["machine"]}),
    }


def _table(values: Mapping[str, Any]) -> str:
    rows = (f"| {name} | {_cell(value)} |" for name, value in values.items())
    return "\n".join(["| | |", "| --- | --- |", *rows])


def _cell(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"`{text}`".replace("|", "\\|") if text else ""
