"""The training loops: one train step, and three loops that take it over the same batches.

A loop trains any compiled Keras model and calls its callbacks as Keras' `fit` does. It saves, prints and
logs nothing itself. It uses what `compile` was given: optimizer, loss, metrics, `jit_compile` and
`steps_per_execution`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
