"""Photos and scans of a digit: reading, conversion to the form of MNIST's images, and prediction."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
