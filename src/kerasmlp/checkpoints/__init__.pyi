from . import atomic as atomic
from .callback import Checkpoint as Checkpoint
from .files import Checkpoints as Checkpoints, Contents as Contents
from .state import put_variables as put_variables
