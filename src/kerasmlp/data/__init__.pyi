from .augmentation import Augmentation
from .batches import Batches, in_order
from .examples import Examples
from .loader import MNISTLoader
from .tensors import scale

__all__ = ["Augmentation", "Batches", "Examples", "MNISTLoader", "in_order", "scale"]
