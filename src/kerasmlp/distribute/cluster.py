"""The cluster that the environment describes: its workers, and which of them was lost.

TensorFlow is imported only to read the environment.
"""

import contextlib
import dataclasses
import json
import os
import re
import socket
from typing import Any, Self

from kerasmlp.distribute import slurm

OF_TF_CONFIG = (
    '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
    " with the number of this worker as its index"
)
"""The expected value of the variable `TF_CONFIG`."""
OF_SLURM = "the nodes of a Slurm job step whose tasks are distributed as block or cyclic"
"""The expected value of the variable `SLURM_STEP_NODELIST`."""
PROBE_SECONDS = 1.0
"""How long to wait for a worker to accept a connection, when looking for the one that died."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers of a cluster, each a process.

    Attributes:
        resolver: TensorFlow's cluster resolver.
        tasks: job and number of each worker, the chief first.
        addresses: host:port of each worker.
        worker: the index of this process.
    """

    resolver: Any
    tasks: tuple[tuple[str, int], ...]
    addresses: tuple[str, ...]
    worker: int

    @classmethod
    def from_environment(cls) -> Self:
        """Return the cluster that the variable `TF_CONFIG` describes, or the Slurm job step.

        Raises:
            ValueError: there is neither, or its description is wrong.
        """
        if "TF_CONFIG" in os.environ:
            name, expected = "TF_CONFIG", OF_TF_CONFIG
        elif "SLURM_STEP_NODELIST" in os.environ:
            name, expected = "SLURM_STEP_NODELIST", OF_SLURM
        else:
            raise ValueError(
                "--strategy multiworker: expected the variable TF_CONFIG or a Slurm job step, which name"
                " the workers; received neither (python -m kerasmlp.launch starts some on this machine)"
            )
        try:
            return cls._of(_resolver())
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError):
            raise ValueError(f"{name}: expected {expected}; received {os.environ[name]}") from None

    @classmethod
    def _of(cls, resolver: Any) -> Self:
        jobs = resolver.cluster_spec().as_dict()
        if jobs.keys() - {"chief", "worker"}:
            raise ValueError("a job that takes no part in a step")
        names = ("chief", "worker")
        tasks = tuple((job, task) for job in names for task in range(len(jobs.get(job, ()))))
        addresses = tuple(jobs[job][task] for job, task in tasks)
        for address in addresses:
            int(address.rpartition(":")[2])
        return cls(resolver, tasks, addresses, tasks.index((resolver.task_type, int(resolver.task_id))))

    def lost(self, message: str) -> str:
        """Return which workers were lost: those that accept no connection, or that `message` names."""
        lost = [number for number in range(len(self.tasks)) if not self._is_listening(number)]
        how = "has died, or cannot be reached"
        if not lost:
            how = "gives no sign of life"
            unhealthy = re.search(r"unhealthy[^:]*:\s*((/job:\w+/replica:\d+/task:\d+\s*)+)", message)
            named = re.findall(r"/job:(\w+)/replica:\d+/task:(\d+)", unhealthy[1] if unhealthy else "")
            lost = sorted({self.tasks.index((job, int(task))) for job, task in named})
        if not lost and "CoordinationService/Heartbeat" in message:
            lost = [0]  # the chief, which keeps the heartbeats
        if not lost:
            last_paragraph = message.rpartition("\n\n")[2]
            return f"the cluster failed: {' '.join(last_paragraph.split())}"
        return f"{', '.join(f'worker {number} ({self.addresses[number]})' for number in lost)} {how}"

    def _is_listening(self, number: int) -> bool:
        if number == self.worker:
            return True
        host, _, port = self.addresses[number].rpartition(":")
        with contextlib.suppress(OSError):
            socket.create_connection((host.strip("[]"), int(port)), PROBE_SECONDS).close()
            return True
        return False


def _resolver() -> Any:
    """Return the cluster resolver that reads the environment."""
    import tensorflow as tf

    resolvers = tf.distribute.cluster_resolver
    if "TF_CONFIG" in os.environ:
        return resolvers.TFConfigClusterResolver()
    cluster = tf.train.ClusterSpec({"worker": slurm.addresses(os.environ)})
    task = int(os.environ["SLURM_PROCID"])
    return resolvers.SimpleClusterResolver(cluster, task_type="worker", task_id=task, rpc_layer="grpc")


def free_addresses(number: int) -> list[str]:
    """Return that many free addresses, host:port, of this machine."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return ["{}:{}".format(*each.getsockname()) for each in sockets]


def tf_config(addresses: list[str], worker: int) -> str:
    """Return the value of `TF_CONFIG` for one of the workers at these addresses."""
    task = {"type": "worker", "index": worker}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})
