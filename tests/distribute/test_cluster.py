"""The cluster that the environment describes."""

import contextlib
import json
import os
import re
import socket

import pytest
import tensorflow as tf

from helpers import python
from kerasmlp import train
from kerasmlp.distribute import cluster, slurm
from kerasmlp.distribute.strategy import Distribution


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"cluster": {"worker": ["127.0.0.1:1"]}}',
        '{"cluster": {"worker": []}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["127.0.0.1:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["127.0.0.1"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"ps": ["127.0.0.1:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["127.0.0.1:1"], "ps": ["127.0.0.1:2"]},'
        ' "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": "127.0.0.1:1"}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_cluster_that_is_not_described_as_it_should_be(config, capsys, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    assert train.main(["--data", "mnist5k", "--strategy", "multiworker"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: TF_CONFIG: expected {") and error.endswith(
        f"received {config}".strip()
    )


def test_an_environment_without_a_cluster_is_refused(monkeypatch):
    for name in ("TF_CONFIG", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="expected the variable TF_CONFIG or a Slurm job step"):
        cluster.Cluster.from_environment()


def test_the_chief_comes_before_the_workers(monkeypatch):
    jobs = {"worker": ["b:2", "c:3"], "chief": ["a:1"]}
    config = {"cluster": jobs, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    found = cluster.Cluster.from_environment()
    assert found.tasks == (("chief", 0), ("worker", 0), ("worker", 1))
    assert (found.addresses, found.worker) == (("a:1", "b:2", "c:3"), 2)


def test_free_addresses_can_be_listened_at():
    addresses = cluster.free_addresses(3)
    with contextlib.ExitStack() as stack:
        for address in addresses:
            host, _, port = address.partition(":")
            assert host == "127.0.0.1" and int(port) >= 1024
            stack.enter_context(socket.create_server((host, int(port))))


def job_step(job=7, step=0, **variables):
    """The variables of a step of two tasks on a node, as Slurm sets them."""
    ids = {"SLURM_JOB_ID": str(job), "SLURM_STEP_ID": str(step), "SLURM_PROCID": "1"}
    step = {"SLURM_STEP_NODELIST": "node", "SLURM_STEP_TASKS_PER_NODE": "2"}
    return ids | step | {f"SLURM_{name}": value for name, value in variables.items()}


@pytest.mark.parametrize(
    "nodes, tasks, distribution, hosts",
    [
        ("n[9-10]", "1(x2)", "cyclic", "n9 n10"),  # by their names, n10 is before n9
        ("n[9-10]", "3,2", "block", "n9 n9 n9 n10 n10"),
        ("n[9-10]", "3,2", "cyclic:block", "n9 n10 n9 n10 n9"),
        ("b,a[08-09,11]x[1-2],c", "2,1(x7)", "block", "b b a08x1 a08x2 a09x1 a09x2 a11x1 a11x2 c"),
    ],
)
def test_the_hosts_of_a_slurm_job_step_are_in_the_order_of_its_tasks(nodes, tasks, distribution, hosts):
    variables = job_step(STEP_NODELIST=nodes, STEP_TASKS_PER_NODE=tasks, DISTRIBUTION=distribution)
    found = [address.rpartition(":") for address in slurm.addresses(variables)]
    assert [host for host, _, _ in found] == hosts.split()
    assert [int(port) - int(found[0][2]) for _, _, port in found] == list(range(len(found)))


def test_slurm_jobs_and_their_steps_that_share_a_node_have_other_ports():
    found = [slurm.addresses(job_step(job, step)) for job in range(70, 90) for step in range(3)]
    both = {address for addresses in found for address in addresses}
    assert len(both) == 2 * 20 * 3
    ports = [int(address.rpartition(":")[2]) for address in both]
    assert min(ports) > 1024 and max(ports) < 32768
    assert slurm.addresses(job_step(36, 3)) == ["node:31320", "node:31321"], "the last of the ports"
    assert slurm.addresses(job_step(36, 4)) == ["node:15000", "node:15001"]


def test_a_slurm_job_step_is_a_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name, value in job_step().items():
        monkeypatch.setenv(name, value)
    found = cluster.Cluster.from_environment()
    assert (found.worker, found.tasks) == (1, (("worker", 0), ("worker", 1)))
    assert [address.split(":")[0] for address in found.addresses] == ["node", "node"]
    assert found.resolver.master("worker", 0) == f"grpc://{found.addresses[0]}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"STEP_NODELIST": "n[9-"},
        {"STEP_TASKS_PER_NODE": "1(x2)"},
        {"DISTRIBUTION": "plane"},
        {"PROCID": "2"},
        {"JOB_ID": ""},
    ],
)
def test_a_slurm_job_step_that_is_not_understood(wrong, capsys, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    variables = job_step(**wrong)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert train.main(["--data", "mnist5k", "--strategy", "multiworker"]) == 2
    nodes = variables["SLURM_STEP_NODELIST"]
    expected = f"error: SLURM_STEP_NODELIST: expected {cluster.OF_SLURM}; received {nodes}"
    assert capsys.readouterr().err.splitlines()[-1] == expected


@pytest.mark.thorough
def test_an_address_that_is_taken_is_named(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    variables = job_step(os.getpid(), STEP_NODELIST="127.0.0.1")
    address = slurm.addresses(variables)[1]
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # if another process has it, it is taken too
            stack.enter_context(socket.create_server(("", int(address.partition(":")[2]))))
        flags = ("--data", "mnist5k", "--strategy", "multiworker")
        done = python("-m", "kerasmlp.train", *flags, **variables)
    assert done.returncode == 2
    expected = "error: worker 1: expected an address to listen at; received "
    assert done.stderr.splitlines()[1:] == [f"{expected}{address}, whose port another process may have"]


@pytest.fixture
def of_two(monkeypatch):
    """Worker 1 of a cluster of two. Worker 0 listens until the test closes its socket."""
    with socket.create_server(("127.0.0.1", 0)) as chief:
        addresses = [f"127.0.0.1:{chief.getsockname()[1]}", *cluster.free_addresses(1)]
        monkeypatch.setenv("TF_CONFIG", cluster.tf_config(addresses, 1))
        yield cluster.Cluster.from_environment(), chief


UNHEALTHY = (
    "some\n\nBarrier failed. unhealthy tasks: /job:worker/replica:0/task:1 /job:worker/replica:0/task:0"
)


@pytest.mark.parametrize(
    "message, said",
    [
        (UNHEALTHY, r"worker 0 \(\S+\), worker 1 \(\S+\) gives no sign of life"),
        ("of /job:worker/replica:0/task:1\n\nwas: no one", "the cluster failed: was: no one"),
        ("RPC CoordinationService/Heartbeat", r"worker 0 \(\S+\) gives no sign of life"),
    ],
)
def test_a_worker_that_listens_is_lost_if_tensorflow_says_so(message, said, of_two):
    assert re.fullmatch(said, of_two[0].lost(message))


def test_a_worker_that_does_not_listen_has_died(of_two):
    workers, chief = of_two
    chief.close()
    said = rf"worker 0 \({workers.addresses[0]}\) has died, or cannot be reached"
    assert re.fullmatch(said, workers.lost(UNHEALTHY))
    lost, memory = tf.errors.UnavailableError(None, None, "x"), tf.errors.ResourceExhaustedError
    named = pytest.raises(ConnectionError, match=f"{said}; training stopped")
    with named, Distribution(None, workers).naming_the_lost():
        raise lost
    for shared, error in ((workers, memory(None, None, "x")), (None, lost)):
        with pytest.raises(type(error)), Distribution(None, shared).naming_the_lost():
            raise error
