"""Callbacks that every loop calls, one in a module. And what Ctrl-C does."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
