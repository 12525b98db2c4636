"""Exports of a trained model: written in several formats, and checked to predict the same."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
