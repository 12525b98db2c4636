from .builtin import LOOPS as LOOPS
from .graph import traced as traced
from .interface import (
    History as History,
    Loop as Loop,
    ResumableLoop as ResumableLoop,
    Training as Training,
    TrainingData as TrainingData,
    build as build,
)
from .step import (
    Logs as Logs,
    TrainStep as TrainStep,
    batch_length as batch_length,
    compute_gradients as compute_gradients,
    has_own_step as has_own_step,
    train_step as train_step,
    update_metrics as update_metrics,
)
from .steps_per_execution import (
    DISTRIBUTED_STEP_SECONDS as DISTRIBUTED_STEP_SECONDS,
    STEP_SECONDS as STEP_SECONDS,
    automatic_steps as automatic_steps,
    responsive_steps as responsive_steps,
    set_steps as set_steps,
)
