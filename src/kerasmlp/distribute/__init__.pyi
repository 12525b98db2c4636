from .cluster import free_addresses, tf_config
from .local_cluster import run_workers
from .stop import StopTogether
from .strategy import Distribution, distribution

__all__ = [
    "Distribution",
    "StopTogether",
    "distribution",
    "free_addresses",
    "run_workers",
    "tf_config",
]
