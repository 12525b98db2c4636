"""Callbacks for all loops, and what Ctrl-C and SIGTERM do."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
