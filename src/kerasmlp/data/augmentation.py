"""Random distortions of images: translation, rotation, scaling, shear, and elastic distortion.

The distortions of a batch depend only on a seed. (Keras' augmentation layers draw from a state that each
call changes.) They are computed in integers, so the bytes are the same with and without XLA, and for any
grouping of the batches. `python -m benchmarks --parts augmentation` compares the speed.
"""

import dataclasses
import functools

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

SMOOTHNESS = 4.0
"""Standard deviation, in pixels, of the Gaussian that smooths the noise. From Simard, Steinkraus and
Platt, "Best practices for convolutional neural networks applied to visual document analysis" (2003)."""
MODES = 6
"""Number of modes of smooth noise along a side. The effect of weaker modes does not show in an image."""
LARGEST_COEFFICIENT = 127
"""The coefficients of a distortion are integers from -127 to 127, all with the same probability."""
POSITION_BITS = 8
"""Positions are multiples of 1/256 pixel, so that an interpolation weight fits into a byte."""
GUARD_BITS = 4
"""Additional bits of a field. Its rounding error, times the largest coefficient, is below 1/64 pixel."""


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Distorts each image in its own random way. Beyond an edge, the pixels of the edge are repeated.

    Args:
        affine: the transformation is the identity matrix plus four random numbers, uniform from -affine
            to affine. It rotates, scales and shears.
        translation: a random distance along each axis, uniform from -translation to translation, in
            pixels.
        elastic: smooth noise moves each point. Its root mean square along each axis, in pixels.
    """

    affine: float
    translation: float
    elastic: float

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return distorted images, uint8 `[batch, height, width, channels]`, for a seed, int64 `[2]`."""
        fields = self._fields(*images.shape[1:3])
        shape = [tf.shape(images)[0], 2, len(fields)]
        coefficients = tf.random.stateless_uniform(
            shape, seed, -LARGEST_COEFFICIENT, LARGEST_COEFFICIENT + 1, tf.int32
        )
        return _warp(images, coefficients, tf.constant(fields))

    def _fields(self, height: int, width: int) -> NDArray[np.float32]:
        """Return the displacement fields for a coefficient of 1, `[fields, points]`.

        They are integers, in units of 1/4096 pixel: the position bits and the guard bits.
        """
        y, x = (axis - axis.mean() for axis in np.indices((height, width)))
        linear = np.full_like(y, self.translation), self.affine * y, self.affine * x
        fields = np.concatenate([linear, self.elastic * _smooth_noise(height, width)])
        unit = 2.0 ** (POSITION_BITS + GUARD_BITS) / LARGEST_COEFFICIENT
        integers = np.round(fields * unit).reshape(len(fields), -1)
        # Below this limit, float32 adds integers exactly, in any order.
        if LARGEST_COEFFICIENT * np.abs(integers).sum(axis=0).max() >= 2**24:
            raise ValueError(f"expected distortions within 4,096 pixels; received {self}")
        return integers.astype(np.float32)


def _smooth_noise(height: int, width: int) -> NDArray[np.float64]:
    """Return fields, `[fields, height, width]`. Their sum with random coefficients is smooth noise.

    The fields are the leading terms of the Karhunen-Loève expansion of white noise that is smoothed by a
    Gaussian. They are scaled so that the noise has a mean square of 1, for coefficients that are uniform
    from -1 to 1: their variance is 1/3.
    """
    along_y, along_x = _modes(height), _modes(width)
    strongest = np.add.outer(np.arange(len(along_y)), np.arange(len(along_x))) < MODES
    fields = np.einsum("iy,jx->ijyx", along_y, along_x)[strongest]
    return fields * np.sqrt(3 / np.square(fields).sum(axis=0).mean())


def _modes(size: int) -> NDArray[np.float64]:
    """Return the strongest modes, `[modes, size]`, of smooth noise along a line of `size` pixels."""
    distance = np.arange(size)[:, None] - np.arange(size)
    values, vectors = np.linalg.eigh(np.exp(-np.square(distance / (2 * SMOOTHNESS))))
    strongest = np.argsort(-values)[:MODES]
    return (vectors[:, strongest] * np.sqrt(np.maximum(values[strongest], 0))).T


@functools.partial(tf.function, jit_compile=True, autograph=False)
def _warp(images: tf.Tensor, coefficients: tf.Tensor, fields: tf.Tensor) -> tf.Tensor:
    """Return the images with each point taken from its displaced position.

    Args:
        images: uint8 `[batch, height, width, channels]`.
        coefficients: int32 `[batch, 2, fields]`, for the displacements along y and x.
        fields: float32 `[fields, points]`, see `_fields`.
    """
    height, width = images.shape[1:3]
    batch = tf.shape(images)[0]
    sums = tf.reshape(tf.cast(coefficients, tf.float32), [-1, fields.shape[0]]) @ fields
    displacements = tf.cast(tf.floor(sums * 2.0**-GUARD_BITS), tf.int32)
    displacements = tf.reshape(displacements, [batch, 2, height * width])
    one = 2**POSITION_BITS
    y, x = np.divmod(np.arange(height * width), width)
    y = tf.clip_by_value(displacements[:, 0] + y * one, 0, (height - 1) * one)
    x = tf.clip_by_value(displacements[:, 1] + x * one, 0, (width - 1) * one)
    return tf.reshape(_interpolated(images, y, x), tf.shape(images))


def _interpolated(images: tf.Tensor, y: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Return the pixels, uint8 `[batch, points, channels]`, at the positions y and x.

    Positions are int32 `[batch, points]`, in 1/256 pixel. The interpolation is bilinear, rounded to the
    nearest byte. Four neighbouring pixels are gathered at once, as the bytes of one integer. Each of the
    two multiplications along x computes two of them.
    """
    height, width, channels = images.shape[1:]
    shift = tf.bitwise.right_shift
    image_start = tf.range(tf.shape(images)[0])[:, None] * (height * width)
    place = image_start + shift(y, POSITION_BITS) * width + shift(x, POSITION_BITS)

    # At the right and the lower edge, the neighbours in memory are other pixels. Their weight is 0.
    padding = tf.zeros([(width + 1) * channels], tf.uint8)
    flat = tf.cast(tf.concat([tf.reshape(images, [-1]), padding], axis=0), tf.uint32)
    neighbours = [
        flat[skip * channels :][: tf.size(images)] * 2**bits
        for skip, bits in ((0, 0), (1, 8), (width, 16), (width + 1, 24))
    ]
    pixels = tf.gather(tf.reshape(tf.add_n(neighbours), [-1, channels]), place)
    left, right = pixels & 0x00FF00FF, shift(pixels, 8) & 0x00FF00FF
    one = 2**POSITION_BITS
    to_y, to_x = (tf.cast(part & (one - 1), tf.uint32)[..., None] for part in (y, x))
    columns = left * (one - to_x) + right * to_x
    upper, lower = columns & 0xFFFF, shift(columns, 16)
    mixed = upper * (one - to_y) + lower * to_y
    return tf.cast(shift(mixed + one**2 // 2, 2 * POSITION_BITS), tf.uint8)
