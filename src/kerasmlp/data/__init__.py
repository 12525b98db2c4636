"""The data: its sources, and the batches of each step, which depend only on the seed and the step."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
