from .comparison import assert_loops_agree, compare_loops
from .data import MNISTLoader
from .models import MLP
from .runs import Settings, load

__version__: str

__all__ = [
    "MLP",
    "MNISTLoader",
    "Settings",
    "assert_loops_agree",
    "compare_loops",
    "load",
]
