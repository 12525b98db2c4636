"""Random distortions of images: moved, turned, stretched, sheared, and bent as by an uncertain hand.

The distortions of a batch follow from a seed alone, and come out of integer arithmetic: the same bytes
compiled or not, for any grouping of batches. Keras' layers for it draw from a state
that each call changes; `python -m benchmarks --parts augmentation` shows what they take.
"""

import dataclasses
import functools

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

SMOOTHNESS = 4.0
"""Pixels, the standard deviation of the Gaussian that smooths the noise of an elastic distortion: that
of Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual
document analysis" (2003)."""
MODES = 6
"""Of smooth noise along a side, the strongest first; those left out bend less than images can show."""
COEFFICIENT = 127
"""The coefficients of a distortion are the integers from its negative to it, all equally probable."""
POSITION_BITS = 8
"""Positions are known to 1/256 of a pixel, so that a weight by position fits into a byte as well."""
GUARD_BITS = 4
"""Further bits of a field. Its rounding, times the largest coefficient, is less than 1/64 of a pixel."""


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Distorts images, each in a way of its own; what is drawn in from beyond an edge is as the edge.

    Args:
        affine: the image is multiplied by the unit matrix plus four numbers, each uniform from -affine
            to affine: it is turned, stretched and sheared.
        translation: pixels; it is moved by up to so many, uniformly, down or up, and right or left.
        elastic: pixels; the root mean square, in each direction, of how far smooth noise moves a point.
    """

    affine: float
    translation: float
    elastic: float

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the distorted images.

        Args:
            images: uint8 `[batch, height, width, channels]`.
            seed: int64 `[2]`, what the distortions follow from.
        """
        fields = self._fields(*images.shape[1:3])
        drawn = tf.random.stateless_uniform(
            [tf.shape(images)[0], 2, len(fields)], seed, -COEFFICIENT, COEFFICIENT + 1, tf.int32
        )
        return _warp(images, drawn, tf.constant(fields))

    def _fields(self, height: int, width: int) -> NDArray[np.float32]:
        """Return the displacements `[fields, points]` that a coefficient of 1 stands for.

        They are integers: in units of a position's last bit, with the guard bits below.
        """
        y, x = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
        ones = np.ones((height, width))
        noise = _smooth_noise(height, width)
        fields = np.stack(
            [
                self.translation * ones,
                self.affine * y[:, None] * ones,
                self.affine * x * ones,
                *(self.elastic * noise),
            ]
        ).reshape(3 + len(noise), -1)
        unit = 2.0 ** (POSITION_BITS + GUARD_BITS) / COEFFICIENT
        integers = np.round(fields * unit)
        # Up to here float32 adds integers without an error, in whatever order.
        if COEFFICIENT * np.abs(integers).sum(axis=0).max() >= 2**24:
            raise ValueError(f"expected distortions within 4,096 pixels; received {self}")
        return integers.astype(np.float32)


def _smooth_noise(height: int, width: int) -> NDArray[np.float64]:
    """Return `[fields, height, width]`, whose sum with uniform coefficients is smooth noise.

    Of white noise smoothed by a Gaussian these are the leading terms of the Karhunen-Loève expansion,
    with coefficients from -1 to 1 (and so a variance of a third), scaled to a mean square of 1.
    """
    along_y, along_x = _modes(height), _modes(width)
    fields = np.stack(
        [
            np.outer(one, other)
            for i, one in enumerate(along_y)
            for j, other in enumerate(along_x)
            if i + j < MODES
        ]
    )
    return fields * np.sqrt(3 / np.square(fields).sum(axis=0).mean())


def _modes(size: int) -> NDArray[np.float64]:
    """Return the strongest modes `[modes, size]` of smooth noise along a line of `size` pixels."""
    distance = np.arange(size)[:, None] - np.arange(size)
    values, vectors = np.linalg.eigh(np.exp(-np.square(distance / (2 * SMOOTHNESS))))
    strongest = np.argsort(-values)[:MODES]
    return (vectors[:, strongest] * np.sqrt(np.maximum(values[strongest], 0))).T


def _shift(x: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.right_shift(x, tf.constant(bits, x.dtype))


@functools.partial(tf.function, jit_compile=True, autograph=False)
def _warp(images: tf.Tensor, coefficients: tf.Tensor, fields: tf.Tensor) -> tf.Tensor:
    """Return the images, each point taken from where the sum of the fields says.

    Between pixels it is interpolated, linearly in both directions, and rounded to the nearest byte.
    Four pixels that are neighbours are gathered at once, as the bytes of an integer, and each of the
    two multiplications along x is for two of them.

    Args:
        images: uint8 `[batch, height, width, channels]`.
        coefficients: int32 `[batch, 2, fields]`, for the displacements along y and x.
        fields: float32 `[fields, points]`.
    """
    height, width, channels = images.shape[1:]
    batch = tf.shape(images)[0]
    sums = tf.reshape(tf.cast(coefficients, tf.float32), [-1, fields.shape[0]]) @ fields
    moved = tf.cast(tf.floor(sums * 2.0**-GUARD_BITS), tf.int32)
    moved = tf.reshape(moved, [batch, 2, height * width])
    one = 2**POSITION_BITS
    y, x = np.divmod(np.arange(height * width), width)
    y = tf.clip_by_value(moved[:, 0] + y * one, 0, (height - 1) * one)
    x = tf.clip_by_value(moved[:, 1] + x * one, 0, (width - 1) * one)
    first = tf.range(batch)[:, None] * (height * width)
    place = first + _shift(y, POSITION_BITS) * width + _shift(x, POSITION_BITS)

    # At the right and at the lower edge, what comes next in memory has no weight.
    after = tf.zeros([(width + 1) * channels], tf.uint8)
    flat = tf.cast(tf.concat([tf.reshape(images, [-1]), after], axis=0), tf.uint32)
    packed = tf.add_n(
        [
            flat[skip * channels :][: tf.size(images)] * tf.constant(2**bits, tf.uint32)
            for skip, bits in ((0, 0), (1, 8), (width, 16), (width + 1, 24))
        ]
    )
    pixels = tf.gather(tf.reshape(packed, [-1, channels]), place)
    left, right = (part & tf.constant(0x00FF00FF, tf.uint32) for part in (pixels, _shift(pixels, 8)))
    to_y, to_x = (tf.cast(part & (one - 1), tf.uint32)[..., None] for part in (y, x))
    whole = tf.constant(one, tf.uint32)
    columns = left * (whole - to_x) + right * to_x
    upper, lower = columns & tf.constant(0xFFFF, tf.uint32), _shift(columns, 16)
    half = tf.constant(2 ** (2 * POSITION_BITS - 1), tf.uint32)
    mixed = _shift(upper * (whole - to_y) + lower * to_y + half, 2 * POSITION_BITS)
    return tf.reshape(tf.cast(mixed, tf.uint8), tf.shape(images))
