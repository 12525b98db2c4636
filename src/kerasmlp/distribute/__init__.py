"""Training on several devices or in several processes, with `tf.distribute`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
