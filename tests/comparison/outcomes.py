"""Outcomes of rows that nothing trained, for the tests of what a comparison shows."""

import numpy as np

from kerasmlp.comparison.verdict import Cost, Outcome, Trajectory

LOSSES = [2.0, 1.5, 1.25, 1.0]


def trajectory(losses=LOSSES, *, weights=0.0, measured=0, share=0.0, steps=4, **others):
    """What a loop did. Its weights, optimizer state and predictions are all `weights`."""
    state = np.full(3, weights, np.float32)
    return Trajectory(
        **{
            "losses": list(losses),
            "history": {},
            "weights": [state],
            "optimizer": [state],
            "predictions": [state],
            "divergence": None,
            "undecided": None,
            "steps": steps,
            "steps_in_all": 4,
            "end_is_seen": False,
            "measured": measured,
            "share": share,
            "has_own_optimizer": False,
            "reports_metrics": True,
            "unit_roundoff": 2.0**-24,
            "longest_sum": 784,
            "jit_compile": False,
            "steps_per_execution": 1,
            **others,
        }
    )


def cost(*seconds, by_epoch=True):
    """What a loop costs whose epochs of 80 steps took `seconds`."""
    return Cost(list(seconds), 80, 0.5 if by_epoch else None, 0.03125, 715.2, by_epoch)


def row(name, verdict="identical", *, seconds=(), by_epoch=True, reason=None, losses=LOSSES, **others):
    """The outcome of a row. Without `seconds` it has no cost; `others` are its trajectory's."""
    found = None if verdict == "failed" else trajectory(losses, **others)
    return Outcome(name, verdict, reason, found, cost(*seconds, by_epoch=by_epoch) if seconds else None)
