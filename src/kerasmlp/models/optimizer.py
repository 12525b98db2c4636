"""The optimizer of a run: Keras' Adam, its learning rate over the steps, its average of the weights."""

from typing import Any

import keras

WARMUP = 0.02
"""The part of the steps in which the learning rate of the cosine schedule rises from 0."""


def make_optimizer(
    learning_rate: float = 0.001,
    *,
    weight_decay: float = 0.0,
    cosine_steps: int | None = None,
    ema_momentum: float = 0.0,
) -> keras.optimizers.Adam:
    """Return the optimizer.

    Args:
        learning_rate: at its highest.
        weight_decay: the part of each kernel, times the learning rate, that a step takes away: no part
            of the loss (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019).
        cosine_steps: the number of steps over which the learning rate rises, in the first 2 %, and then
            falls to 0 along a cosine; None for one that is constant.
        ema_momentum: what the moving average of the weights, which they become at the end of the
            training, keeps of itself at a step; 0 for no average.
    """
    rate: Any = learning_rate
    if cosine_steps is not None:
        warmup = int(cosine_steps * WARMUP)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else learning_rate,
            cosine_steps - warmup,
            warmup_target=learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    options = {"use_ema": True, "ema_momentum": ema_momentum} if ema_momentum else {}
    adam = keras.optimizers.Adam(rate, weight_decay=weight_decay or None, **options)
    if weight_decay:
        adam.exclude_from_weight_decay(var_names=["bias"])
    return adam
