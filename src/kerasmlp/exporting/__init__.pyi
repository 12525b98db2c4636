from .checked import IMAGES as IMAGES, write_checked as write_checked
from .formats import FormatName as FormatName, check_installed as check_installed
from .parity import Parity as Parity, ParityError as ParityError
