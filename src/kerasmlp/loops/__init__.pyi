from .builtin import LOOPS as LOOPS
from .graph import traced as traced
from .interface import (
    History as History,
    Logs as Logs,
    Loop as Loop,
    ResumableLoop as ResumableLoop,
    Training as Training,
    TrainingData as TrainingData,
    TrainStep as TrainStep,
    build as build,
)
from .step import (
    batch_length as batch_length,
    compute_gradients as compute_gradients,
    has_own_step as has_own_step,
    parts as parts,
    train_step as train_step,
    update_metrics as update_metrics,
)
from .steps_per_execution import (
    DISTRIBUTED_STEP_SECONDS as DISTRIBUTED_STEP_SECONDS,
    STEP_SECONDS as STEP_SECONDS,
    responsive_steps as responsive_steps,
)
