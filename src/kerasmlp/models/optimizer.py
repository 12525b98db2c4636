"""The optimizer of a run: Keras' Adam, with a learning rate schedule and averaged weights."""

from typing import Any

import keras


def make_optimizer(
    learning_rate: float = 0.001,
    *,
    weight_decay: float = 0.0,
    cosine_steps: int | None = None,
    ema_momentum: float = 0.0,
) -> keras.optimizers.Adam:
    """Return the optimizer.

    Args:
        learning_rate: the highest learning rate.
        weight_decay: decoupled weight decay of the kernels, as in AdamW (Loshchilov and Hutter,
            "Decoupled weight decay regularization", 2019): each step subtracts this part of each kernel,
            times the learning rate.
        cosine_steps: the number of steps of a cosine schedule: in the first 2 % the learning rate rises
            from 0, then it falls to 0 along a cosine. None for a constant learning rate.
        ema_momentum: the momentum of the moving average of the weights, which replaces them at the end
            of the training. 0 for no average.
    """
    schedule: Any = learning_rate
    if cosine_steps is not None:
        warmup = int(cosine_steps * 0.02)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else learning_rate,
            cosine_steps - warmup,
            warmup_target=learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    options = {"use_ema": True, "ema_momentum": ema_momentum} if ema_momentum else {}
    adam = keras.optimizers.Adam(schedule, weight_decay=weight_decay or None, **options)
    if weight_decay:
        adam.exclude_from_weight_decay(var_names=["bias"])
    return adam
