from .finding import Found as Found, find as find
from .prediction import Digit as Digit, Prediction as Prediction, predict as predict
from .preparing import prepared as prepared
from .reading import read as read
from .showing import shown as shown
