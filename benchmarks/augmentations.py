"""What distorting all training images takes: by this project, and by the layers of Keras, in tf.data."""

import sys
import time
from typing import Any

BATCH = 500


def measure(data: str, repeats: int) -> dict[str, Any]:
    """Return the seconds of each way, in turn, after one pass that warms up."""
    import keras
    import tensorflow as tf

    from kerasmlp.data import Augmentation, MNISTLoader
    from kerasmlp.runs.recipes import RECIPES

    images = tf.constant(MNISTLoader(data).train_data)
    recipe = RECIPES["accurate"]
    ours = Augmentation(recipe["affine"], recipe["translation"], recipe["elastic"])
    layers = keras.layers
    affine = [
        layers.RandomTranslation(0.03, 0.03, fill_mode="nearest"),
        layers.RandomRotation(0.03, fill_mode="nearest"),
        layers.RandomZoom((-0.1, 0.1), (-0.1, 0.1), fill_mode="nearest"),
        layers.RandomShear(0.1, 0.1, fill_mode="nearest"),
    ]
    elastic = layers.RandomElasticTransform(1.0, scale=1.0)

    def through(layers: Any) -> Any:
        def distort(x: Any, step: Any) -> Any:
            for layer in layers:
                x = layer(x, training=True)
            return x

        return distort

    ways = {
        "affine and elastic": lambda x, step: ours(x, tf.stack([tf.constant(0, tf.int64), step])),
        "Keras: translation": through(affine[:1]),
        "Keras: translation, rotation, zoom, shear": through(affine),
        "Keras: elastic": through([elastic]),
    }
    steps = tf.data.Dataset.range(len(images) // BATCH)
    pipelines = {
        name: steps.map(
            # Of a batch of unknown size, Keras' elastic layer bends all images alike.
            lambda step, way=way: way(
                tf.ensure_shape(images[step * BATCH : (step + 1) * BATCH], [BATCH, *images.shape[1:]]),
                step,
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        for name, way in ways.items()
    }
    found: dict[str, Any] = {name: {"seconds": []} for name in ways}
    for number in range(repeats + 1):
        for name, pipeline in pipelines.items():
            print(f"round {number}/{repeats}: {name}", file=sys.stderr)
            begin = time.perf_counter()
            for _ in pipeline:
                pass
            if number:
                found[name]["seconds"].append(time.perf_counter() - begin)
    return found
