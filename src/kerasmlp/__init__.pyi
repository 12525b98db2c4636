from .comparison import assert_loops_agree as assert_loops_agree, compare_loops as compare_loops
from .data import MNISTLoader as MNISTLoader
from .models import MLP as MLP
from .runs import Settings as Settings, fit as fit, load as load

__version__: str
