"""The job of the documentation, in a real Slurm."""

import os
import re
import signal
import sys
from pathlib import Path

import pytest

import slurm
from helpers import newest
from kerasmlp.checkpoints import files
from kerasmlp.runs import run_folder
from workers import Cluster

if reason := slurm.why_not():
    pytest.skip(f"there is no Slurm: {reason}", allow_module_level=True)

pytestmark = pytest.mark.thorough

PAGE = Path(__file__).parents[2] / "docs/how-to/cluster.md"
STEPS_PER_EPOCH = 72
EPOCHS = 20
MANY = 3000  # more than are trained before Slurm looks at the clock, every 30 seconds
PRINTS_ITS_ADDRESS = """\
import os
from kerasmlp.distribute import slurm
address = slurm.addresses(os.environ)[int(os.environ["SLURM_PROCID"])]
print(os.environ["SLURM_PROCID"], os.environ["SLURMD_NODENAME"], address)
"""


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """A Slurm with two nodes."""
    with slurm.Slurm(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@pytest.fixture(scope="module")
def runs(machines):
    """Where the jobs write their runs, and `whole`, a run that two workers made without Slurm."""
    cluster = Cluster(machines.folder / "logs")
    done = cluster.run(2, "whole", "--loop", "graph", "--epochs", str(EPOCHS))
    assert done.returncode == 0, done.stderr
    return cluster


def the_job(logs, name, epochs=EPOCHS):
    """The job of the page, small, and with a run of this name."""
    (script,) = re.findall(r"^```bash\n(#!.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    script = replaced(script, "python ", f"{sys.executable} ")
    small = f"--data mnist5k --epochs {epochs} --checkpoint-every 50steps --summaries"
    return replaced(script, "--logdir /shared/logs --name two", f"{small} --logdir {logs} --name {name}")


def replaced(script, text, other):
    assert script.count(text) == 1
    return script.replace(text, other)


def submit(machines, script):
    """Submit a job, each of its two workers on a node."""
    return machines.submit(script, "--nodes=2")


def wait_for_checkpoint(job, run, after=0):
    """Wait for a checkpoint of the run that a job trains, of a step after this one."""

    def is_there():
        assert job.field("JobState") in ("PENDING", "RUNNING"), job.slurm.logs()
        paths = (run / run_folder.CHECKPOINTS).glob(files.PATTERN)
        return any(int(path.stem.split("-")[1]) > after for path in paths)

    job.slurm.wait(is_there, run.name)


def worker(run, number):
    """The process of a worker that trains this run."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        is_python = command[0] == sys.executable.encode() and run.name.encode() in command
        if is_python and f"SLURM_PROCID={number}".encode() in variables:
            return int(entry.name)
    raise AssertionError(f"no process of worker {number}")


def steps(pattern, output):
    """The steps that lines of the output name."""
    return [int(step.replace(",", "")) for step in re.findall(pattern, output)]


def assert_the_same(runs, name, other):
    """The runs end with the same bits: the sum of two workers does not depend on its order, and here,
    where Slurm binds no task to cores, TensorFlow has as many threads in a task as elsewhere."""
    assert runs.apart(name, other) == 0
    runs.assert_alike(name, other)


def saved_at(output):
    return steps(r"interrupted after step ([\d,]+)", output)


def resumed_at(output):
    return steps(r"resuming after step ([\d,]+)", output)


def test_the_job_of_the_page_ends_where_two_launched_workers_end(machines, runs):
    job = submit(machines, the_job(runs.logs, "job"))
    job.wait_for("COMPLETED")
    assert "there is no run" in job.output() and "resuming" not in job.output()
    assert runs.metrics("job")["replicas"] == 2
    assert_the_same(runs, "job", "whole")


def test_a_job_whose_workers_are_killed_and_that_is_requeued_ends_where_it_would_have(machines, runs):
    run, killed_at = runs.logs / "killed", [0]
    job = submit(machines, the_job(runs.logs, run.name))
    for victim in (1, 0):
        wait_for_checkpoint(job, run, killed_at[-1])
        os.kill(worker(run, victim), signal.SIGKILL)
        job.wait_for("FAILED")
        killed_at.append(newest(run).state["step"])
        machines("scontrol", "requeue", job.number)
        job.start_again()
    job.wait_for("COMPLETED")
    assert resumed_at(job.output()) == killed_at[1:]
    assert killed_at[-1] < EPOCHS * STEPS_PER_EPOCH
    assert "Traceback" not in job.output()
    assert_the_same(runs, run.name, "whole")


def test_a_cancelled_job_saves_and_the_next_goes_on(machines, runs):
    run = runs.logs / "cancelled"
    job = submit(machines, the_job(runs.logs, run.name))
    wait_for_checkpoint(job, run)
    machines("scancel", job.number)
    job.wait_for("CANCELLED")
    step = newest(run).state["step"]
    assert saved_at(job.output()) == [step]
    assert step < EPOCHS * STEPS_PER_EPOCH
    assert job.field("Restarts") == "0"
    following = submit(machines, the_job(runs.logs, run.name))
    following.wait_for("COMPLETED")
    assert resumed_at(following.output()) == [step]
    assert_the_same(runs, run.name, "whole")


def test_before_its_time_is_over_a_job_saves_and_is_started_again(machines):
    run = machines.folder / "logs/long"
    job = submit(machines, the_job(run.parent, run.name, MANY))
    wait_for_checkpoint(job, run)
    machines("scontrol", "update", f"JobId={job.number}", "TimeLimit=1")
    job.wait_for("PENDING")
    step = newest(run).state["step"]
    assert saved_at(job.output()) == [step]
    assert step < MANY * STEPS_PER_EPOCH
    job.start_again("TimeLimit=60")
    machines.wait(lambda: resumed_at(job.output()), "the second start")
    assert resumed_at(job.output()) == [step]
    assert job.field("Restarts") == "1"
    machines("scancel", job.number)


def test_a_job_whose_time_is_over_saves(machines):
    """Slurm sends SIGTERM twice, here some 10 milliseconds apart."""
    run = machines.folder / "logs/over"
    script = re.sub("#SBATCH --signal.*", "", the_job(run.parent, run.name, MANY))
    job = submit(machines, replaced(script, " --resume", " --resume --steps-per-execution 1"))
    wait_for_checkpoint(job, run)
    machines("scontrol", "update", f"JobId={job.number}", "EndTime=now")
    job.wait_for("TIMEOUT")
    assert saved_at(job.output()) == [newest(run).state["step"]]


@pytest.mark.parametrize("distribution", ["block", "cyclic"])
def test_workers_are_looked_for_where_they_are(machines, distribution):
    program = machines.jobs / "address.py"
    program.write_text(PRINTS_ITS_ADDRESS)
    step = f"srun --distribution={distribution} {sys.executable} {program}\n"
    job = machines.submit(f"#!/bin/bash\n{step}", "--nodes=2", "--ntasks=3", "--overcommit")
    job.wait_for("COMPLETED")
    told = sorted(line.split() for line in job.output().splitlines())
    assert len({address for _, _, address in told}) == 3
    assert [address.partition(":")[0] for _, _, address in told] == [node for _, node, _ in told]
    assert {node for _, node, _ in told} == set(slurm.NODES)
