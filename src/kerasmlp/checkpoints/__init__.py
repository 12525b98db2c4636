"""Checkpoints: the files, the state of a training in them, and the callback that writes them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
