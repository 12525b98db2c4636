from .average import averaged_weights
from .mlp import MLP, calibrated, compiled_mlp
from .optimizer import make_optimizer
from .quantization import WEIGHT_BITS, QuantizedDense, plain

__all__ = [
    "MLP",
    "WEIGHT_BITS",
    "QuantizedDense",
    "averaged_weights",
    "calibrated",
    "compiled_mlp",
    "make_optimizer",
    "plain",
]
