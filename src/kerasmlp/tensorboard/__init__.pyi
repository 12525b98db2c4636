from . import hparams, pictures, projector
from .events import Events
from .graph import Graph
from .histograms import Histograms
from .images import Images, write_errors, write_first_layer
from .pr_curves import PRCurves, write_pr_curves
from .scalars import Scalars
from .tags import TAGS, about

__all__ = [
    "TAGS",
    "Events",
    "Graph",
    "Histograms",
    "Images",
    "PRCurves",
    "Scalars",
    "about",
    "hparams",
    "pictures",
    "projector",
    "write_errors",
    "write_first_layer",
    "write_pr_curves",
]
