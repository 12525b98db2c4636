from .checked import NotChecked as NotChecked, Report as Report, write_checked as write_checked
from .drawn import DRAWN_DIGITS as DRAWN_DIGITS
from .formats import FormatName as FormatName, check_installed as check_installed
from .parity import Parity as Parity, ParityError as ParityError
from .reasons import FormatError as FormatError
from .served import Served as Served
