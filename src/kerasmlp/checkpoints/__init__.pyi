from . import atomic
from .callback import Checkpoint
from .files import Checkpoints, Contents
from .state import put_variables

__all__ = [
    "Checkpoint",
    "Checkpoints",
    "Contents",
    "atomic",
    "put_variables",
]
