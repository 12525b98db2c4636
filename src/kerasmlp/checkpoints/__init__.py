"""Checkpoints: the files, the state of a training, and the callback that saves it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
