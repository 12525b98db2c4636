"""The comparison of training loops: whether they agree, if not why, and what each costs.

Each loop runs in a process of its own. This package imports no TensorFlow in the process that compares.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
