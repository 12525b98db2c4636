"""The optimizer of a run, as Keras has it: its kind, its learning rate over the steps, its averaging."""

from typing import Any

import keras

WARMUP = 0.02
"""The part of the steps in which the learning rate of the cosine schedule rises from 0."""


def optimizer(
    name: str = "adam",
    learning_rate: float = 0.001,
    *,
    weight_decay: float = 0.0,
    cosine_steps: int | None = None,
    ema_momentum: float = 0.0,
    head: str | None = None,
) -> keras.optimizers.Optimizer:
    """Return an optimizer.

    Args:
        name: `adam`; or `muon`, which orthogonalises the updates of the kernels of hidden layers, and
            is Adam for all else.
        learning_rate: at its highest, for Muon and Adam alike.
        weight_decay: the part of each kernel, times the learning rate, that a step takes away; as
            in AdamW it is no part of the loss.
        cosine_steps: the number of steps over which the learning rate rises, in the first 2 %, and then
            falls to 0 along a cosine; None for one that is constant.
        ema_momentum: what the moving average of the weights, which they become at the end of the
            training, keeps of itself at a step; 0 for no average.
        head: the name of the last layer, whose kernel Muon leaves to Adam.
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
    options: dict[str, Any] = {"weight_decay": weight_decay or None}
    if ema_momentum:
        options |= {"use_ema": True, "ema_momentum": ema_momentum}
    if name == "adam":
        made = keras.optimizers.Adam(rate, **options)
    else:
        options |= {
            "adam_weight_decay": weight_decay or None,
            "exclude_layers": [head] if head else None,
        }
        made = keras.optimizers.Muon(rate, **options)
    if weight_decay:
        made.exclude_from_weight_decay(var_names=["bias"])
    return made
