"""The data: where it comes from, and which examples make the batch of each step.

A batch depends only on the seed and the step. So every loop sees the same batches, and a run can resume
at any step.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
