from .prediction import Prediction, predict
from .preparing import prepared
from .reading import read

__all__ = [
    "Prediction",
    "predict",
    "prepared",
    "read",
]
