from .attributes import optimizers as optimizers, plain_variables as plain_variables
from .average import averaged_weights as averaged_weights
from .mlp import MLP as MLP, calibrated as calibrated, compiled_mlp as compiled_mlp
from .optimizer import make_optimizer as make_optimizer
from .quantization import QuantizedDense as QuantizedDense, plain as plain
