import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st
from scipy.ndimage import map_coordinates

from helpers import assert_same, cases, compiled, run, state
from kerasmlp.data import augmentation
from kerasmlp.data.augmentation import Augmentation
from kerasmlp.data.batches import Batches
from small_models import dense

AUGMENTATION = Augmentation(affine=0.2, translation=1.5, elastic=0.8)


def seed(number, step=0):
    return tf.constant([number, step], tf.int64)


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_the_distortions_depend_on_the_seed():
    images = tf.constant(noise(5, 9, 8, 1))
    once, again, other = (
        AUGMENTATION(images, seed(1)),
        AUGMENTATION(images, seed(1)),
        AUGMENTATION(images, seed(1, 7)),
    )
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert (
        len({image.tobytes() for image in AUGMENTATION(tf.repeat(images[:1], 50, 0), seed(1)).numpy()})
        == 50
    )


@pytest.mark.parametrize("shape", [(4, 28, 28, 1), (3, 9, 14, 3), (2, 1, 1, 1)])
def test_the_bytes_are_the_same_with_and_without_xla_and_for_any_grouping(shape):
    images = tf.constant(noise(*shape))
    fields = tf.constant(AUGMENTATION._fields(*shape[1:3]))
    drawn = tf.random.stateless_uniform([shape[0], 2, len(fields)], seed(3), -127, 128, tf.int32)
    compiled_bytes = augmentation._warp(images, drawn, fields)
    assert np.array_equal(compiled_bytes, augmentation._warp.python_function(images, drawn, fields))
    one_by_one = [
        augmentation._warp(images[i : i + 1], drawn[i : i + 1], fields) for i in range(shape[0])
    ]
    assert np.array_equal(compiled_bytes, np.concatenate(one_by_one))
    assert np.array_equal(compiled_bytes, AUGMENTATION(images, seed(3)))


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 3), st.integers(0, 2**31 - 1))
def test_the_interpolation_is_the_same_as_in_scipy(height, width, channels, number):
    """SciPy computes in float64. Only the rounding of positions and weights differs."""
    images = noise(2, height, width, channels)
    fields = AUGMENTATION._fields(height, width).astype(np.float64) / 2**12
    drawn = tf.random.stateless_uniform([2, 2, len(fields)], seed(number), -127, 128, tf.int32)
    moved = (drawn.numpy() @ fields).reshape(2, 2, height, width)
    expected = np.empty(images.shape)
    for image, displacement, out in zip(images, moved, expected, strict=True):
        places = np.indices((height, width)) + displacement
        for channel in range(channels):
            pixels = image[..., channel].astype(float)
            out[..., channel] = map_coordinates(pixels, places, order=1, mode="nearest")
    received = AUGMENTATION(tf.constant(images), seed(number)).numpy()
    # A position is wrong by up to 1/256 pixel along each axis; neighbouring pixels differ by up to 255.
    assert np.abs(received - expected).max() <= 2 * 255 / 256 + 0.5


def displacements(kind, size=28, images=2000):
    fields = kind._fields(size, size).astype(np.float64) / 2**12
    drawn = tf.random.stateless_uniform([images, 2, len(fields)], seed(1), -127, 128, tf.int32)
    return (drawn.numpy() @ fields).reshape(images, 2, size, size)


def test_the_distortions_have_the_documented_size():
    moved = displacements(Augmentation(0, 1.5, 0))
    assert np.ptp(moved, axis=(2, 3)).max() == 0  # the whole image moves
    assert 1.48 < np.abs(moved).max() <= 1.5
    affine = displacements(Augmentation(0.2, 0, 0))
    slope = np.diff(affine, axis=3)
    rounding = 127 / 2**12  # half a unit in each of two fields
    assert np.abs(slope.mean(axis=(2, 3), keepdims=True) - slope).max() <= rounding  # a linear map
    assert 0.19 < np.abs(slope.mean(axis=(2, 3))).max() <= 0.2 + rounding
    assert np.abs(affine.mean(axis=(2, 3))).max() < rounding  # around the centre
    elastic = displacements(Augmentation(0, 0, 0.8))
    assert np.sqrt(np.square(elastic).mean()) == pytest.approx(0.8, rel=0.02)
    assert np.abs(np.diff(elastic, axis=3)).mean() < 0.2  # smooth: neighbours move by similar distances


def test_without_distortions_the_images_do_not_change():
    images = noise(3, 6, 5, 2)
    assert np.array_equal(Augmentation(0, 0, 0)(tf.constant(images), seed(1)), images)


def test_the_background_stays_background():
    images = np.zeros((20, 28, 28, 1), np.uint8)
    images[:, 8:20, 10:18] = 255
    distorted = AUGMENTATION(tf.constant(images), seed(1)).numpy()
    assert distorted[:, 0].max() == 0
    assert distorted[:, 13:15, 13:15].min() == 255


def test_distortions_beyond_4096_pixels_are_an_error():
    Augmentation(0, 4096, 0)._fields(3, 2)
    with pytest.raises(ValueError, match="within 4,096 pixels"):
        Augmentation(0, 4097, 0)._fields(3, 2)


def test_each_step_has_a_negative_seed_of_its_own(digits):
    """Those of the order of the examples are not negative."""
    batches = Batches(*digits, 7, seed=3, augment=AUGMENTATION)
    images = tf.constant(digits[0][:4])
    for step in (0, 1, 20):
        expected = AUGMENTATION(images, tf.constant([3, -1 - step], tf.int64))
        assert np.array_equal(batches.augmented(images, tf.constant(step, tf.int64)), expected)


@pytest.mark.parametrize("sampling", cases(("shuffle", "replacement"), default=("shuffle",)))
def test_an_augmented_batch_depends_only_on_the_seed_and_the_step(digits, sampling):
    """It is the same one by one and in groups, from any step on."""
    batches = Batches(*digits, 7, seed=3, sampling=sampling, augment=AUGMENTATION)
    plain = Batches(*digits, 7, seed=3, sampling=sampling)
    expected = [x.numpy() for epoch in range(3) for x, _ in batches.epoch(epoch)]
    untouched = [x.numpy() for epoch in range(3) for x, _ in plain.epoch(epoch)]
    for distorted, x in zip(expected, untouched, strict=True):
        assert distorted.shape == x.shape
        assert not np.array_equal(distorted, x)
    for steps, initial_step in ((4, 0), (3, 5), (50, batches.steps_per_epoch)):
        received = []
        for group in batches.groups(steps, initial_step):
            for count, (x, y) in batches.load(group, steps):
                received += [batches.prepare(x[i], y[i])[0].numpy() for i in range(int(count))]
            if len(received) >= len(expected) - initial_step:
                break
        for x, other in zip(received, expected[initial_step:], strict=True):
            assert np.array_equal(x, other)
    assert not np.array_equal(expected[0], expected[batches.steps_per_epoch])


def test_the_same_image_is_distorted_otherwise_in_each_step():
    images = np.repeat(np.arange(36, dtype=np.uint8).reshape(1, 6, 6, 1), 20, axis=0)
    batches = Batches(images, np.zeros(20, np.uint8), 5, seed=3, augment=AUGMENTATION)
    found = [x.numpy().tobytes() for epoch in range(2) for x, _ in batches.epoch(epoch)]
    assert len(set(found)) == len(found) == 8


ALL = (("fit", 1), ("fit", 3), ("graph", 3), ("graph", 1), ("eager", 1))
WAYS = {"plain": (False, ALL, 7), "XLA": (True, ALL[:3:2], 10), "XLA, all": (True, ALL[:4], 7)}
"""For each whether with XLA, the loops, and the size of a batch: with 10, all have one shape."""


@pytest.mark.parametrize("way", cases(WAYS, default=()))
def test_all_loops_train_the_same_on_augmented_images(digits, way):
    jit_compile, loops, size = WAYS[way]
    first = None
    for loop, steps in loops:
        model = compiled(dense, jit_compile=jit_compile, steps_per_execution=steps)
        run(loop, model, digits, batch_size=size, validation=False, augment=AUGMENTATION)
        first = first or state(model)
        assert_same(state(model), first)
    plain = compiled(dense)
    run("eager", plain, digits, batch_size=size, validation=False)
    assert not np.allclose(state(plain)[0], first[0], atol=1e-4)
