from . import hparams as hparams, pictures as pictures, projector as projector
from .dashboards import all_dashboards as all_dashboards
from .events import Events as Events
from .images import write_errors as write_errors, write_first_layer as write_first_layer
from .kind import classified as classified, loss_of as loss_of, probabilities as probabilities
from .pr_curves import write_pr_curves as write_pr_curves
from .scalars import write_logs as write_logs
from .tags import TAGS as TAGS, about as about
