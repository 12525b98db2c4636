"""The tasks of a Slurm job step, as its variables describe them. Imports no TensorFlow.

TensorFlow's `SlurmClusterResolver` is not used: it takes the nodes in the order of their names (n10
before n9) and the tasks in blocks, while Slurm deals one task a node out cyclically; all jobs get the
ports from 8888 on, so that two cannot share a node; and it divides GPUs that Slurm has divided.
"""

import itertools
import re
from collections.abc import Iterator, Mapping

FIRST_PORT = 15000
PORTS_A_STEP = 64
STEPS = 256
"""So many job steps have ports of their own: below 32768, where Linux takes those of connections."""
STEPS_A_JOB = 7
"""So many steps of a job, one beside the other, have ports that the next job does not have."""


def addresses(variables: Mapping[str, str]) -> list[str]:
    """Return host:port of each task of the job step.

    Raises:
        KeyError, ValueError: a variable is missing, or is not as Slurm sets it.
    """
    step = int(variables["SLURM_JOB_ID"]) * STEPS_A_JOB + int(variables["SLURM_STEP_ID"])
    port = FIRST_PORT + step % STEPS * PORTS_A_STEP
    return [f"{host}:{port + task}" for task, host in enumerate(_hosts(variables))]


def _hosts(variables: Mapping[str, str]) -> list[str]:
    """Return the host of each task."""
    nodes = _nodes(variables["SLURM_STEP_NODELIST"])
    numbers = _numbers(variables["SLURM_STEP_TASKS_PER_NODE"])
    places = [
        (place, node)
        for node, (_, number) in enumerate(zip(nodes, numbers, strict=True))
        for place in range(number)
    ]
    way = variables.get("SLURM_DISTRIBUTION", "block").partition(":")[0]
    if way == "cyclic":
        places.sort()
    elif way != "block":
        raise ValueError(f"tasks are expected in blocks or cyclic; they are {way}")
    return [nodes[node] for _, node in places]


def _nodes(text: str) -> list[str]:
    """Return the nodes that a list as `a,n[9-10,12]` names, in its order."""
    return [node for part in re.findall(r"(?:[^,[]|\[[^]]*\])+", text) for node in _expanded(part)]


def _expanded(part: str) -> Iterator[str]:
    """Yield the nodes of a part of a list, as `n[9-10,12]`."""
    pieces = re.split(r"\[(.*?)\]", part)  # every second one was in brackets
    choices = [_range(piece) if index % 2 else [piece] for index, piece in enumerate(pieces)]
    return map("".join, itertools.product(*choices))


def _range(text: str) -> Iterator[str]:
    """Yield the numbers of `9-10,12`, with their leading zeros."""
    for part in text.split(","):
        first, _, last = part.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield str(number).zfill(len(first))


def _numbers(text: str) -> list[int]:
    """Return the numbers of `3(x2),1`: 3, 3, 1."""
    found = []
    for part in text.split(","):
        number, _, times = part.partition("(x")
        found += [int(number)] * int(times.rstrip(")") or 1)
    return found
