from . import run_folder as run_folder
from .by_name import import_by_name as import_by_name, new_model as new_model
from .evaluation import Evaluated as Evaluated, Evaluation as Evaluation, evaluate as evaluate
from .fields import (
    POSITIVE as POSITIVE,
    SEED as SEED,
    Bound as Bound,
    SettingError as SettingError,
    at_least as at_least,
    between as between,
    check as check,
    require as require,
)
from .finished import (
    load as load,
    load_with_data as load_with_data,
    model_function as model_function,
)
from .fitting import fit as fit
from .repetition import (
    CONFIDENCE as CONFIDENCE,
    FEW as FEW,
    Repetition as Repetition,
    repeat as repeat,
    statistics as statistics,
)
from .settings import DECIDING as DECIDING, Settings as Settings, default_data as default_data
from .training import follow as follow, train as train
from .versions import environment as environment
