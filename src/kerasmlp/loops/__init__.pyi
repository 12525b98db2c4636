from .builtin import LOOPS
from .graph import traced
from .interface import (
    History,
    Logs,
    Loop,
    ResumableLoop,
    Training,
    TrainingData,
    TrainStep,
    build,
)
from .step import compute_gradients, train_step, update_metrics
from .steps_per_execution import (
    DISTRIBUTED_STEP_SECONDS,
    STEP_SECONDS,
    responsive_steps,
)

__all__ = [
    "DISTRIBUTED_STEP_SECONDS",
    "LOOPS",
    "STEP_SECONDS",
    "History",
    "Logs",
    "Loop",
    "ResumableLoop",
    "TrainStep",
    "Training",
    "TrainingData",
    "build",
    "compute_gradients",
    "responsive_steps",
    "traced",
    "train_step",
    "update_metrics",
]
