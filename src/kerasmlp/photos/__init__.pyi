from .prediction import Prediction as Prediction, predict as predict
from .preparing import prepared as prepared
from .reading import read as read
