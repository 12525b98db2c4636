"""What a step costs when workers share it: measured on this machine, and a model fitted to that.

Each worker has one core, as if it were a machine of its own, and they talk over the loopback interface.
With more workers than cores, they share these; such rows are told, and the model is not fitted to them.
"""

import contextlib
import itertools
import os
import statistics
import sys
import time
from typing import Any

from kerasmlp.distribute import free_addresses, tf_config
from kerasmlp.processes import Process, Talk

BATCHES = (50, 500)
UNITS = (100, 400, 1600, 8192)
WORKERS = (1, 2, 3, 4)
ROUND_SECONDS = 2.0
TIME_LIMIT = 300.0


def parameters(units: int) -> int:
    """Return how many the MLP has."""
    return 785 * units + (units + 1) * 10


def measure(repeats: int) -> dict[str, Any]:
    """Return milliseconds a step for each number of units and workers and each batch size."""
    found = {}
    for batch, units, workers in itertools.product(BATCHES, UNITS, WORKERS):
        row = f"batch {batch}, {units:,} units, {workers} worker{'s' if workers > 1 else ''}"
        print(row, file=sys.stderr)
        addresses = free_addresses(workers)
        with contextlib.ExitStack() as stack:
            processes = [
                stack.enter_context(
                    Process("benchmarks.clusters:work", addresses, number, units, batch, repeats)
                )
                for number in range(workers)
            ]
            milliseconds = processes[0].receive(TIME_LIMIT)
            for process in processes[1:]:
                process.receive(TIME_LIMIT)
        shape = {"batch_size": batch, "units": units, "workers": workers}
        found[row] = {**shape, "parameters": parameters(units), "milliseconds": milliseconds}
    return found


def work(
    talk: Talk, addresses: list[str], number: int, units: int, batch: int, repeats: int
) -> list[float]:
    """Take part as a worker; return the milliseconds of a step in each round."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[number % len(cores)]})
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_CONFIG": tf_config(addresses, number)}

    import numpy as np
    import tensorflow as tf

    from kerasmlp.distribute import distribution
    from kerasmlp.distribute.step import distributed
    from kerasmlp.loops import train_step
    from kerasmlp.loops.graph import compiled_steps
    from kerasmlp.models import compiled_mlp

    cluster = distribution("multiworker" if len(addresses) > 1 else "none")
    model = compiled_mlp((28, 28, 1), 10, hidden_units=(units,))
    model.optimizer.build(model.trainable_variables)
    random = np.random.default_rng(0)
    x = tf.constant(random.random((batch, 28, 28, 1), np.float32))
    y = tf.constant(random.integers(10, size=batch), tf.int32)
    batches = iter(tf.data.Dataset.from_tensors((x, y)).repeat())
    strategy = cluster.strategy
    step = train_step if strategy is None else distributed(strategy, batch)
    run = compiled_steps(model, step, lambda: None)

    def seconds(steps: int) -> float:
        cluster.exchange(0)  # all begin together
        begin = time.perf_counter()
        run(batches, steps, True)
        return time.perf_counter() - begin

    seconds(2)
    rate = max(cluster.exchange(int(1e6 * seconds(5) / 5)))  # microseconds a step; the same for all
    steps = max(3, int(ROUND_SECONDS * 1e6 / rate))
    return [1e3 * seconds(steps) / steps for _ in range(repeats)]


def fit(rows: dict[str, Any]) -> dict[str, Any]:
    """Fit what a step costs to the rows whose workers have a core each.

    With P parameters, B examples and n workers,

        ms = a + b P B / n + c P + [n > 1] (d + e P 2 (n - 1) / n)

    a, the step itself; b, forward and backward pass; c, what each worker does once for each weight; d, a
    message; e, the bytes that a ring all-reduce moves (Patarasuk and Yuan, 2009). Relative errors are
    least, none of the numbers is negative.
    """
    import numpy as np
    from scipy.optimize import nnls

    cores = len(os.sched_getaffinity(0))
    fitted = [row for row in rows.values() if row["workers"] <= cores]
    features = np.array(
        [_features(row["parameters"], row["batch_size"], row["workers"]) for row in fitted]
    )
    times = np.array([statistics.median(row["milliseconds"]) for row in fitted])
    scales = features.max(axis=0)
    solved, _ = nnls(features / scales / times[:, None], np.ones(len(times)))
    numbers = solved / scales
    errors = np.abs(features @ numbers / times - 1)
    return {
        **dict(zip("abcde", numbers.tolist(), strict=True)),
        "median_error": float(np.median(errors)),
        "largest_error": float(errors.max()),
    }


def _features(size: float, batch: float, workers: int) -> list[float]:
    several = float(workers > 1)
    return [1, size * batch / workers, size, several, several * size * 2 * (workers - 1) / workers]


def predicted(model: dict[str, Any], size: float, batch: float, workers: int) -> float:
    """Return the milliseconds of a step."""
    features = _features(size, batch, workers)
    return sum(model[name] * feature for name, feature in zip("abcde", features, strict=True))


def pays_from(model: dict[str, Any], batch: int, workers: int) -> int | None:
    """Return from how many parameters on `workers` are quicker than one; None where they never are."""
    share = (workers - 1) / workers
    gained = (model["b"] * batch - 2 * model["e"]) * share  # milliseconds a parameter
    return int(model["d"] / gained) + 1 if gained > 0 else None


def cells(row: dict[str, Any], rows: dict[str, Any]) -> dict[str, str]:
    """Return what the table tells of a row."""
    model, shape = fit(rows), (row["batch_size"], row["units"], 1)
    (alone,) = (
        other
        for other in rows.values()
        if (other["batch_size"], other["units"], other["workers"]) == shape
    )
    milliseconds = statistics.median(row["milliseconds"])
    by_model = predicted(model, row["parameters"], row["batch_size"], row["workers"])
    return {
        "ms a step": f"{milliseconds:.2f}",
        "x one worker": f"{milliseconds / statistics.median(alone['milliseconds']):.2f}",
        "by the model": f"{by_model:.2f}",
    }


def told(rows: dict[str, Any]) -> str:
    """Return what the model says of larger clusters, as tables in Markdown."""
    model = fit(rows)
    lines = [
        "| a, ms | b, ns | c, ns | d, ms | e, ns | median error | largest error |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        f"| {model['a']:.3f} | {1e6 * model['b']:.3f} | {1e6 * model['c']:.1f} | {model['d']:.3f}"
        f" | {1e6 * model['e']:.1f} | {model['median_error']:.0%} | {model['largest_error']:.0%} |",
        "",
        f"| batch | 2 workers pay from | 8 workers pay from | {UNITS[-1]:,} units: gain with 8 |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for batch in (*BATCHES, 5000):
        pays = [pays_from(model, batch, workers) for workers in (2, 8)]
        size = parameters(UNITS[-1])
        faster = predicted(model, size, batch, 1) / predicted(model, size, batch, 8)
        told = [f"{size:,} parameters" if size else "never" for size in pays]
        lines.append(f"| {batch} | {' | '.join(told)} | {faster:.2f} |")
    return "\n".join(lines)
