"""The models: the handbook's MLP, its quantization, its optimizer and averaged weights."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
