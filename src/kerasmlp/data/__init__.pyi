from .augmentation import Augmentation as Augmentation
from .batches import Batches as Batches, in_order as in_order
from .examples import Examples as Examples
from .loader import MNISTLoader as MNISTLoader
from .tensors import scale as scale
