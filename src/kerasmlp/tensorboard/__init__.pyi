from . import hparams as hparams, pictures as pictures, projector as projector
from .events import Events as Events
from .graph import Graph as Graph
from .histograms import Histograms as Histograms
from .images import (
    Images as Images,
    write_errors as write_errors,
    write_first_layer as write_first_layer,
)
from .pr_curves import PRCurves as PRCurves, write_pr_curves as write_pr_curves
from .scalars import Scalars as Scalars
from .tags import TAGS as TAGS, about as about
