"""Slurm on this machine: its daemons, of two nodes, in a folder of their own, and jobs.

The nodes are called 127.0.0.9 and 127.0.0.10: names that Linux reaches, at itself, and that are not in
the order of the alphabet.
"""

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import time

from kerasmlp.distribute.cluster import free_addresses

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel")
PATIENCE = 120  # seconds, for what would hang
NODES = ("127.0.0.9", "127.0.0.10")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
FirstJobId={first_job}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1
PartitionName=all Nodes=ALL Default=YES
"""
NODE = "NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} {hardware}\n"


def why_not():
    """Why there can be no Slurm here; nothing where there can."""
    absent = [program for program in PROGRAMS if _path(program) is None]
    if absent:
        return f"{', '.join(absent)} not found"
    return "its daemons want to be started by root" if os.geteuid() else ""


def _path(program):
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


class Slurm:
    """A context in which there is Slurm. The variable `SLURM_CONF` leads its commands to it.

    `folder` has the configuration, the key, the state and the logs of the daemons; jobs run in `jobs`.
    """

    def __init__(self, folder):
        self.folder, self.jobs = folder, folder / "jobs"
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        for path in (self.folder / "state", self.jobs):
            path.mkdir()
        self._configure()
        with contextlib.ExitStack() as stack:
            socket_of_munge = f"--socket={self.folder}/munge.socket"
            files = [
                f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "log", "pid", "seed")
            ]
            # Forced, as the folders of tests are closed to other users.
            self._start(stack, "munged", "--foreground", "--force", socket_of_munge, *files)
            self.wait(lambda: (self.folder / "munge.socket").exists(), "munged")
            self._start(stack, "slurmctld", "-D")
            for node in NODES:
                self._start(stack, "slurmd", "-D", "-N", node)
            self.wait(lambda: self("sinfo", "-h", "-o", "%D %t", check=False) == "2 idle\n", "slurmd")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        # Jobs end before their daemons, which would leave them alone.
        self("scancel", "--user=root", "--signal=KILL", "--full", check=False)
        self("scancel", "--user=root", check=False)
        self.wait(lambda: not self("squeue", "-h", check=False), "the end of the jobs")
        self._stack.close()

    def _configure(self):
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        ports = [address.rpartition(":")[2] for address in free_addresses(3)]
        host = socket.gethostname().partition(".")[0]
        found = subprocess.run(
            [_path("slurmd"), "-C"], capture_output=True, text=True, check=True
        ).stdout
        hardware = re.search(r"CPUs=.* RealMemory=\d+", found)[0]
        # The ports of a job's workers follow from its number: others may test here too.
        first_job = secrets.randbelow(50_000) + 1
        common = {"folder": self.folder, "host": host, "first_job": first_job, "port": ports[0]}
        lines = [
            NODE.format(node=node, host=host, port=port, hardware=hardware)
            for node, port in zip(NODES, ports[1:], strict=True)
        ]
        configuration = CONFIGURATION.format(**common) + "".join(lines)
        (self.folder / "slurm.conf").write_text(configuration)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SLURM_")},
            "SLURM_CONF": str(self.folder / "slurm.conf"),
        }

    def _start(self, stack, program, *arguments):
        with (self.folder / f"{program}.log").open("ab") as log:
            command = [_path(program), *arguments]
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        stack.callback(process.wait)
        stack.callback(process.terminate)

    def __call__(self, *command, check=True):
        """What a command of Slurm prints."""
        options = {"capture_output": True, "text": True, "timeout": PATIENCE, "check": check}
        return subprocess.run(command, cwd=self.jobs, env=self.environment, **options).stdout

    def wait(self, condition, what):
        """Wait until `condition` is true."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"{what}: {self.logs()}"
            time.sleep(0.05)

    def logs(self):
        """What the daemons and the jobs have printed."""
        paths = [*self.folder.glob("*.log"), *self.jobs.glob("*.out")]
        return "\n".join(f"{path.name}\n{path.read_text(errors='replace')}" for path in paths)

    def submit(self, script, *options):
        """Submit a job; return it."""
        path = self.jobs / "job.sh"
        path.write_text(script)
        return Job(self, self("sbatch", "--parsable", *options, str(path)).strip())


class Job:
    """A job that has been submitted."""

    def __init__(self, slurm, number):
        self.slurm, self.number = slurm, number

    def field(self, name):
        """A field of what Slurm tells of the job, as `JobState` or `Restarts`."""
        shown = self.slurm("scontrol", "show", "job", self.number)
        return re.search(rf"\b{name}=(\S*)", shown)[1]

    def wait_for(self, state):
        """Wait until the job is in this state, and nothing of it runs any more."""

        def is_in_it():
            found = self.field("JobState")
            assert found in (state, "PENDING", "RUNNING", "COMPLETING"), (found, self.slurm.logs())
            return found == state and not self.slurm("squeue", "-h", "-t", "CG", "-j", self.number)

        self.slurm.wait(is_in_it, f"job {self.number} {state}")

    def output(self):
        """What the job has printed."""
        return (self.slurm.jobs / f"slurm-{self.number}.out").read_text()

    def start_again(self, *changes):
        """Let a requeued job start. Slurm would wait two minutes.

        A node does not start a job in the second in which it has ended, so a few have to pass.
        """
        self.wait_for("PENDING")
        self.slurm("scontrol", "update", f"JobId={self.number}", "StartTime=now+3", *changes)
        self.slurm.wait(lambda: self.field("JobState") == "RUNNING", f"job {self.number} started")
