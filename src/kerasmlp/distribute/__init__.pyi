from .cluster import free_addresses as free_addresses, tf_config as tf_config
from .local_cluster import run_workers as run_workers
from .stop import StopTogether as StopTogether
from .strategy import Distribution as Distribution, distribution as distribution
