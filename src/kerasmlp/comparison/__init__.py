"""The comparison of training loops: whether they agree, if not why, and what each costs.

Each loop runs in its own process. The process that compares them imports no TensorFlow for it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
