"""Each process compiles a product, or takes the program that one before it has compiled."""

import json
import os
import subprocess
import sys

import pytest

from kerasmlp import kept_programs

PROGRAM = """
import atexit, json, os, sys
from kerasmlp import cli

with cli.quiet_start(False): import tensorflow as tf  # it keeps nothing: there are flags
del os.environ["TF_XLA_FLAGS"]
for line in sys.stdin:
    if os.fork():
        if os.wait()[1]:
            sys.exit("the process that compiles has failed")
        continue
    os.environ.update(json.loads(line))
    with cli.quiet_start(False): pass
    product = tf.function(lambda x: tf.reduce_sum(tf.sin(x) @ x), jit_compile=True)
    print(product(tf.reshape(tf.range(10_000.0), (100, 100))).numpy().tobytes().hex())
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(0)  # the rest of TensorFlow's end takes a second
"""
"""It imports TensorFlow once, and uses it in a new process for each line, which is an environment."""


@pytest.fixture
def run(tmp_path):
    """Has a process compile and call the product, with a cache in `tmp_path`; returns what it prints."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], **pipes) as process:

        def call(**environment):
            process.stdin.write(json.dumps({"XDG_CACHE_HOME": str(tmp_path), **environment}) + "\n")
            process.stdin.flush()
            return process.stdout.readline()

        yield call


def kept(tmp_path):
    return list(tmp_path.glob("kerasmlp/xla-*/*.pb"))


def test_a_program_is_compiled_once_and_again_if_it_is_damaged(run, tmp_path):
    compiled = run()
    assert compiled
    (path,) = kept(tmp_path)
    content, written = path.read_bytes(), path.stat().st_mtime_ns
    assert run() == compiled
    assert path.stat().st_mtime_ns == written
    path.write_bytes(content[: len(content) // 2])
    assert run() == compiled
    assert len(path.read_bytes()) == len(content)


@pytest.mark.thorough
def test_other_flags_have_other_programs(run, tmp_path):
    run()
    run(XLA_FLAGS="--xla_cpu_multi_thread_eigen=false")
    assert len(kept(tmp_path)) == 2


@pytest.mark.thorough
def test_without_a_folder_or_with_flags_of_the_users_nothing_is_kept(run, tmp_path):
    (tmp_path / "kerasmlp").write_text("a file in the place of the folder")
    run()
    run(TF_XLA_FLAGS="--tf_xla_clustering_debug")
    assert [path.name for path in tmp_path.iterdir()] == ["kerasmlp"]


def test_the_oldest_programs_go(tmp_path, monkeypatch):
    """By the function alone: fifty programs would take a minute to compile."""
    monkeypatch.setattr(kept_programs, "MOST", 3)
    for age in range(5):
        path = tmp_path / f"{age}.pb"
        path.write_bytes(bytes([age]))
        os.utime(path, (1000 - age, 1000 - age))
    (tmp_path / "unsealed.pb").write_bytes(b"of a process that was killed")
    monkeypatch.setattr(kept_programs, "_folders", {tmp_path})
    kept_programs.seal()
    (tmp_path / "unsealed.pb.sha256").unlink()
    kept_programs._remove_damaged(tmp_path)
    assert {path.name for path in tmp_path.glob("*.pb")} == {"0.pb", "1.pb"}
    assert len(list(tmp_path.iterdir())) == 4
