from .any_arrays import AnyArrays as AnyArrays
from .augmentation import Augmentation as Augmentation
from .batches import Batches as Batches
from .class_weight import weighted as weighted, weighted_dataset as weighted_dataset
from .dataset_batches import DatasetBatches as DatasetBatches
from .epochs import Epochs as Epochs
from .examples import Examples as Examples
from .loader import MNISTLoader as MNISTLoader
from .mnist import read_ahead as read_ahead
from .packing import packed as packed, unpacked as unpacked
from .parts import Parts as Parts
from .saved_dataset import SavedDataset as SavedDataset
from .source import Source as Source, read_source as read_source
from .tensors import scale as scale
