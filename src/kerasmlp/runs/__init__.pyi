from . import run_folder
from .evaluation import Evaluation, evaluate
from .fields import POSITIVE, SEED, Bound, SettingError, at_least, auto_or, between, check, require
from .finished import load, load_with_data
from .repetition import CONFIDENCE, MEASURED, Repetition, repeat, statistics
from .settings import DECIDING, Settings, default_data
from .training import follow, train
from .versions import environment

__all__ = [
    "CONFIDENCE",
    "DECIDING",
    "MEASURED",
    "POSITIVE",
    "SEED",
    "Bound",
    "Evaluation",
    "Repetition",
    "SettingError",
    "Settings",
    "at_least",
    "auto_or",
    "between",
    "check",
    "default_data",
    "environment",
    "evaluate",
    "follow",
    "load",
    "load_with_data",
    "repeat",
    "require",
    "run_folder",
    "statistics",
    "train",
]
