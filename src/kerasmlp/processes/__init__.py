"""Functions that run in other processes of this machine, and what the processes say to each other."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
