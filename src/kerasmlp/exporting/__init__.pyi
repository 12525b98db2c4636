from .checked import IMAGES, write_checked
from .formats import FormatName, check_installed
from .parity import Parity, ParityError

__all__ = [
    "IMAGES",
    "FormatName",
    "Parity",
    "ParityError",
    "check_installed",
    "write_checked",
]
