"""The bound on rounding: it explains rounding, and nothing else."""

import math
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import kinds
from bench import Bench
from kerasmlp import loops
from kerasmlp.comparison.deviation import Deviation, largest_deviation, shares
from kerasmlp.comparison.longest_sum import longest_sum
from kerasmlp.comparison.reference import RIGHT, Reference, Step, own_gradients, state
from kerasmlp.comparison.rounding import Rounding, StepBound, _perturbed, _RootMeanSquare, _unit_roundoff
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.start import start_from
from kerasmlp.comparison.trajectory import check_loop
from kerasmlp.comparison.verdict import same
from kerasmlp.data import Batches
from kerasmlp.models import compiled_mlp


def test_a_number_that_xla_replaces_by_zero_is_rounding(mnist5k):
    """A moment decays below the smallest normal number, 1.2e-38."""
    keras.utils.set_random_seed(3)
    model = compiled_mlp((28, 28, 1), 10, jit_compile=False, steps_per_execution=1)
    train = Batches(mnist5k.train_data, mnist5k.train_label, 32)
    loops.build(model, train)
    reference, heard = Reference(model), []
    rounding = Rounding(reference, train, lambda: heard.append("working"))
    batch = mnist5k.train_data[:32].astype("float32"), mnist5k.train_label[:32].astype("int64")
    before = state(model)
    expected = reference.train(before, [batch])
    at = next(index for index, path in enumerate(reference.paths) if path.endswith("kernel_momentum"))
    received = [value.copy() for value in expected]
    blank = expected[at] == 0  # the weights of pixels that are 0 in all images
    assert blank.mean() > 0.1
    received[at][blank] = 1.3e-38
    bound = StepBound(rounding, before, [batch], expected)
    assert bound.deviation(received).share <= 1

    assert len(heard) >= 4, "one for each step of a measurement"
    received[at][blank] = 1e-30
    assert bound.deviation(received).share > 1


@keras.saving.register_keras_serializable("tests")
class NotForXLA(keras.layers.Layer):
    """Multiplies by 1, with an operation on strings, which XLA does not have."""

    def call(self, x):
        length = tf.strings.length(tf.strings.as_string(tf.reduce_sum(x)))
        return x * tf.cast(length > 0, x.dtype)


def test_a_model_that_xla_cannot_compile_has_a_tight_bound_too(digits):
    images, labels = digits
    keras.utils.set_random_seed(3)
    outputs = [keras.layers.Dense(3), keras.layers.Softmax()]
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), NotForXLA(), *outputs])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
    train = Batches(images, labels, 8)
    loops.build(model, train)
    reference = Reference(model)
    rounding = Rounding(reference, train)
    batch = images[:8].astype("float32") / 255, labels[:8].astype("int64")
    before = state(model)
    expected = reference.train(before, [batch])
    kernel = next(index for index, path in enumerate(reference.paths) if path.endswith("kernel"))
    received = [value.copy() for value in expected]
    received[kernel] *= 1 + 1e-3
    found = StepBound(rounding, before, [batch], expected).deviation(received)
    assert found.variable == reference.paths[kernel]
    assert found.share > 1
    assert found.bound == pytest.approx(0, abs=1e-4)


class Convolution(keras.Model):
    """Its layers have no `output`, since it is no functional model."""

    def __init__(self):
        super().__init__()
        self.convolution, self.flatten = keras.layers.Conv2D(4, 3), keras.layers.Flatten()
        self.head = keras.layers.Dense(3)

    def call(self, x):
        return self.head(self.flatten(self.convolution(x)))


@pytest.mark.parametrize(
    "layers, shape, dtype, terms",
    [
        ([keras.layers.Dense(3)], [None, 100], tf.float32, 100),  # the inputs of a unit
        ([keras.layers.Dense(3)], [None, 5], tf.float32, 8),  # the examples of a batch
        ([keras.layers.Conv2D(2, 3)], [None, 6, 6, 1], tf.float32, 8 * 4 * 4),  # and the positions
        ([keras.layers.Embedding(9, 2)], [None, 7], tf.int32, 8 * 7),
        ([keras.layers.Embedding(9, 2), keras.layers.LSTM(2)], [None, 7], tf.int32, 8 * 7),
        ([Convolution()], [None, 6, 6, 1], tf.float32, 8 * 4 * 4),
        ([keras.layers.Conv2D(2, 3)], [None, 4, 4, 64], tf.float32, 3 * 3 * 64),
        ([keras.layers.LSTM(2)], [None, 7, 5], tf.float32, 8 * 7 * 5),
        ([keras.layers.LSTM(2)], [None, None, 5], tf.float32, 8 * 5),
        ([keras.layers.Conv1D(2, 3, padding="same")], [None, None, 2], tf.float32, 8),
    ],
)
def test_the_longest_sum_of_a_step(layers, shape, dtype, terms):
    model = keras.Sequential([keras.Input(shape[1:], dtype=dtype.name), *layers])
    assert longest_sum(model, 8, tf.TensorSpec(shape, dtype)) == terms


def test_the_draws_may_miss_few_numbers_and_no_large_ones():
    bound = np.full((100, 10), 1e-6)
    bound[0] = 0.0  # a unit that no draw moved
    few, many, large = (np.zeros((100, 10)) for _ in range(3))
    few[0] = 5e-7
    many[:3] = 2e-6
    large[0, 0] = 1e-5
    assert shares(few, bound).max() == 1
    assert shares(np.where(bound == 0, 0, 9e-7), bound).max() == pytest.approx(0.9)
    assert shares(many, bound).max() > 1
    assert shares(large, bound).max() > 1
    many_unmoved = np.zeros((100, 10))
    many_unmoved[:5] = 1e-7
    assert shares(many_unmoved, np.where(many_unmoved > 0, 0.0, 1e-6)).max() > 1


@pytest.mark.parametrize("size, most", [(1000, 20), (100, 2), (60, 1), (10, 1)])
def test_the_draws_may_miss_one_number_in_fifty_and_at_least_one(size, most):
    def largest(missed):
        bound, difference = np.full(size, 1e-6), np.zeros(size)
        bound[:missed] = 0.0
        difference[:missed] = 5e-7
        return shares(difference, bound).max()

    assert largest(most) == 1
    assert largest(most + 1) > 1
    bound = np.array([1.0, 7.0])  # with a root mean square of 5
    assert shares(np.array([5.0, 0.0]), bound).max() == 1
    assert shares(np.array([5.5, 0.0]), bound).max() == 5.5
    at_the_bound = shares(np.array([1.0, 1.0, 1.5, 0.0]), np.array([1.0, 1.0, 1.0, 7.0]))
    assert list(at_the_bound) == [1, 1, 1, 0]  # only one is missed


@pytest.mark.thorough
def test_an_execution_of_many_steps_that_amplifies_rounding_is_equal():
    """The model of keras-team/keras#19953: in 40 steps, units switch that switch in no draw."""
    numbers = np.random.default_rng(0)
    x, y = numbers.normal(size=(20_000, 100)), numbers.integers(0, 10, 20_000)

    def wide():
        units = [keras.layers.Dense(128, "relu") for _ in range(10)]
        model = keras.Sequential([keras.Input((100,)), *units, keras.layers.Dense(10, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
        return model

    rows = [Row.parse(name) for name in ("fit+jit@50", "fit")]
    with start_from(wide, (x, y), 500, 0) as start:
        model, reference = (row.compile(start.new_model()) for row in rows)
        found = check_loop(loops.LOOPS["fit"], model, reference, start, 1)
    assert found.divergence is None


@pytest.mark.parametrize("share, found", [(0.99, True), (1.01, False)])
def test_a_difference_is_rounding_up_to_the_bound(share, found):
    expected, bounds = [np.zeros((2, 3), np.float32)], [np.full((2, 3), 1e-6)]
    received = [np.full((2, 3), share * 1e-6, np.float32)]
    deviation = largest_deviation(["kernel"], expected, received, bounds)
    assert deviation.is_rounding == found
    assert (deviation.variable, deviation.bound) == ("kernel", 1e-6)
    assert deviation.size == pytest.approx(share * 1e-6)
    assert deviation.share == pytest.approx(share)


def test_the_variable_with_the_largest_share_is_named():
    expected = [np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(0)]
    bounds = [np.full(2, 1.0), np.full(2, 1e-3), np.full(2, 1.0), np.zeros(0)]
    received = [np.array([2.0, 0.0]), np.array([0.0, 1.0]), np.array([3.0, 3.0]), np.zeros(0)]
    deviation = largest_deviation("abcd", expected, received, bounds)
    assert (deviation.variable, deviation.size, deviation.bound) == ("b", 1.0, 1e-3)
    assert deviation.share == pytest.approx(1000)
    nothing = largest_deviation("abcd", expected, expected, bounds)
    assert (nothing.variable, nothing.share) == ("a", 0.0)
    turned = [each[::-1] for each in (expected, received, bounds)]
    assert largest_deviation("dcba", *turned) == deviation
    assert largest_deviation("d", [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]) == Deviation(
        "", 0.0, 0.0, -1.0
    )
    assert Deviation("a", 1.0, 1.0, 1.0).is_rounding


def test_a_counter_is_named_only_if_nothing_else_differs():
    expected, bounds = [np.zeros(3, np.int64), np.zeros(3)], [np.zeros(3), np.full(3, 1e-6)]
    seed = np.full(3, 7)
    assert largest_deviation("sk", expected, [seed, np.full(3, 1e-3)], bounds).variable == "k"
    found = largest_deviation("sk", expected, [seed, np.full(3, 1e-9)], bounds)
    assert (found.variable, found.size, found.is_rounding) == ("s", 7, False)
    little = largest_deviation("sk", expected, [seed, np.full(3, 1.5e-6)], bounds)
    assert (little.variable, little.share) == ("k", pytest.approx(1.5))
    few, missed = np.array([1.0, 7.0]), np.array([1.5, 0.0])  # it counts as 1
    states = [expected[0], np.zeros(2)], [seed, missed], [bounds[0], few]
    found = largest_deviation("sk", *states)
    assert found.variable == "s"
    alone = largest_deviation("s", expected[:1], expected[:1], bounds)
    assert (alone.variable, alone.size, alone.share) == ("s", 0.0, 0.0)
    flag = np.array([True])
    assert not largest_deviation("f", [flag], [~flag], [np.zeros(1)]).is_rounding


def test_numbers_that_are_none_agree_only_with_each_other():
    nan, one = np.array([np.nan, np.nan]), np.array([1.0, np.nan])
    bounds = [np.full(2, 1e-6)]
    assert largest_deviation("k", [nan], [nan], bounds).is_rounding
    for right, received in ((nan, one), (one, nan), (one, np.array([np.inf, np.nan]))):
        deviation = largest_deviation("k", [right], [received], bounds)
        assert not deviation.is_rounding and deviation.size == deviation.share == np.inf
    with np.errstate(invalid="ignore"):  # of a step that explodes
        infinite = largest_deviation("k", [one[:1]], [np.array([np.inf])], [np.array([np.inf])])
    assert infinite.share == np.inf


def test_half_precision_rounds_more():
    bits = {"float16": 11, "bfloat16": 8, "float64": 53, "float32": 24, "int8": 24, None: 24}
    assert {dtype: -np.log2(_unit_roundoff(dtype)) for dtype in bits} == bits


class Fixed:
    """A rounding that is known: each draw moves each number by so much."""

    unit_roundoff, longest_sum = 2.0**-24, 64

    def __init__(self, optimizer, inputs, programs):
        model = types.SimpleNamespace(optimizer=optimizer)
        self.reference = types.SimpleNamespace(model=model, paths=["kernel", "sgd/iteration"])
        self.inputs, self.programs, self.draws = inputs, programs, []

    def after_perturbed_steps(self, step, before, batches, draw):
        self.draws.append(("inputs", draw))
        return [np.array([1.0 + self.inputs]), np.array(3)]

    def after_changed_steps(self, before, batches, draw):
        self.draws.append(("programs", draw))
        return [np.array([1.0 - self.programs]), np.array(3)]


def bound_of(fixed, step=RIGHT):
    before, expected = [np.array([0.5]), np.array(2)], [np.array([1.0]), np.array(3)]
    return StepBound(fixed, before, [], expected, step)


def test_the_steps_of_the_optimizer_are_counted_and_those_of_nothing_else():
    fixed = Fixed(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), inputs=0, programs=0)
    fixed.reference.paths = ["mine/iteration", "kernel", "adam/iteration", "adam/learning_rate"]
    before = [np.array(9), np.array([0.5]), np.array(2), np.array(0.1)]
    assert StepBound(fixed, before, [], before)._bias_correction == 1 - 0.999**3


@pytest.mark.parametrize(
    "optimizer, correction", [(keras.optimizers.SGD(), 1), (keras.optimizers.Adam(), 0)]
)
def test_the_bound_is_the_sum_of_its_four_parts(optimizer, correction):
    fixed = Fixed(optimizer, inputs=1e-5, programs=1e-6)
    bound = bound_of(fixed)
    bound._draw(4, 2)
    u = fixed.unit_roundoff
    correction = correction or 1 - 0.999**3  # of Adam's third step
    parts = 8 * math.sqrt(64) / 16 * 1e-5, 1e-6, 16 * u * (1.0 + 0.5), u / correction * 0.5
    within = [np.array([1.0 + 0.4 * sum(parts)]), np.array(3)]
    assert bound.deviation(within).share == pytest.approx(0.4, rel=1e-6)
    assert bound.bounds()[0] == pytest.approx(sum(parts), rel=1e-9)
    assert np.array_equal(bound.bounds()[1], [0.0])  # a counter has none
    assert fixed.draws == [*(("inputs", n) for n in range(4)), ("programs", 0), ("programs", 1)]


@pytest.mark.parametrize(
    "share, inputs, programs",
    [(0.49, 4, 0), (0.51, 40, 40), (1.2, 40, 40), (900.0, 40, 40), (2000.0, 4, 0)],
)
def test_more_is_drawn_where_few_draws_do_not_decide(share, inputs, programs):
    """Half a bound is clear, and a thousand bounds are."""
    fixed = Fixed(keras.optimizers.SGD(), inputs=1e-5, programs=0.0)
    bound = bound_of(fixed)
    bound._draw(4, 0)
    received = [np.array([1.0]) + share * bound.bounds()[0], np.array(3)]
    fixed.draws.clear()
    bound = bound_of(fixed)
    found = bound.deviation(received)
    assert found.share == pytest.approx(share, rel=1e-6)
    assert [kind for kind, _ in fixed.draws].count("inputs") == inputs
    assert [kind for kind, _ in fixed.draws].count("programs") == programs
    assert len(set(fixed.draws)) == len(fixed.draws)


def kinds_drawn(fixed):
    drawn = [kind for kind, _ in fixed.draws]
    return drawn.count("inputs"), drawn.count("programs")


def test_the_difference_of_programs_may_decide_before_more_is_drawn():
    fixed = Fixed(keras.optimizers.SGD(), inputs=1e-5, programs=1e-3)
    found = bound_of(fixed).deviation([np.array([1.0 + 5e-5]), np.array(3)])
    assert found.is_rounding and kinds_drawn(fixed) == (4, 8)


def test_for_a_wrong_step_little_is_drawn():
    fixed = Fixed(keras.optimizers.SGD(), inputs=1e-5, programs=0.0)
    bound = bound_of(fixed, Step())
    found = bound.deviation([np.array([1.0 + 6e-5]), np.array(3)])
    assert found.share > 0.5 and kinds_drawn(fixed) == (4, 0)


def test_a_bound_that_is_no_number_is_the_smallest():
    bound = bound_of(Fixed(keras.optimizers.SGD(), inputs=np.nan, programs=0.0))
    bound._draw(1, 0)
    assert bound.bounds()[0] == pytest.approx(16 * np.finfo(np.float32).tiny)


def test_states_are_far_apart_if_many_numbers_are():
    bound = bound_of(Fixed(keras.optimizers.SGD(), inputs=1e-5, programs=0.0))
    one = np.ones(10)
    bound.expected = bound.before = [one, np.array(2)]
    bound._inputs, bound._programs = (_RootMeanSquare(bound.expected) for _ in range(2))
    bound._inputs.add([one + 1e-5, np.array(2)])
    limit = 1000 * (bound.bounds()[0][0] + 16 * 2.0**-24)
    few, many, near = one.copy(), one.copy(), one.copy()
    few[:1] += 2 * limit
    many[:2] += 1.0005 * limit
    near += 0.9995 * limit
    assert not bound.are_far_apart([one], [few])
    assert bound.are_far_apart([one], [many])
    assert not bound.are_far_apart([one], [near])
    assert bound.are_far_apart([one], [np.full(10, np.nan)])
    assert not bound.are_far_apart([np.arange(9)], [np.arange(9) + 5])  # counters


def test_the_root_mean_square_of_what_was_added():
    sums = _RootMeanSquare([np.array([1.0, 2.0])])
    assert np.array_equal(sums.values()[0], [0.0, 0.0])
    sums.add([np.array([4.0, 2.0])])
    assert np.array_equal(sums.values()[0], [3.0, 0.0])
    sums.add([np.array([5.0, 2.0])])
    assert sums.count == 2
    assert np.array_equal(sums.values()[0], [math.sqrt(12.5), 0.0])


def test_a_random_change_has_the_size_that_it_is_given():
    changes = _perturbed(tf.ones(10_000), tf.constant([1, 2]), 0.01).numpy() - 1
    assert changes.std() == pytest.approx(0.01, rel=0.03)
    assert abs(changes.mean()) < 0.0003 and abs(changes).max() <= math.sqrt(3) * 0.01 + 1e-6
    tokens = tf.constant([1, 2, 3])
    assert _perturbed(tokens, tf.constant([1, 2]), 0.01) is tokens


def test_steps_are_taken_from_weights_that_are_a_little_changed():
    """Also wrong ones; the change itself is taken back before the update."""
    bench = Bench()
    reference = bench.rounding.reference
    (first, second, _), taken = bench.train.epoch(0), []

    def doubled(model, batch):
        taken.append(len(batch[1]))
        return [2 * each for each in own_gradients(model, batch)]

    wrong = Step(doubled)
    expected = reference.take(wrong, bench.initial, [first, second])
    ones, others = (
        bench.rounding.after_perturbed_steps(wrong, bench.initial, [first, second], draw)
        for draw in (0, 1)
    )
    assert taken == [8] * 6
    for right, one, other in zip(expected[:4], ones, others, strict=False):
        np.testing.assert_allclose(one, right, rtol=1e-4, atol=1e-5)
        assert not np.array_equal(one, right) and not np.array_equal(one, other)


def test_what_a_step_draws_is_noted():
    x, y = kinds.data_of(kinds.dense)
    model = kinds.dense()
    model.optimizer.build(model.trainable_variables)
    (mask,) = Rounding(Reference(model), Batches(x, y, 8))._draw_numbers((x[:8], y[:8]))
    assert mask.shape == (8, 8)
    assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / 0.7)}


def test_a_program_that_xla_does_not_compile_leaves_no_trace_and_is_tried_once():
    bench, heard = Bench(), []
    reference = bench.rounding.reference
    rounding = Rounding(reference, bench.train, lambda: heard.append("working"))
    batches, tried = list(bench.train.epoch(0)), []

    def fails(batch, seed):
        tried.append(list(seed.numpy()))
        for variable in reference.model.trainable_variables:
            variable.assign(variable + 1)
        raise tf.errors.UnimplementedError(None, None, "not for XLA")

    rounding._changed_step = fails
    found = rounding.after_changed_steps(bench.initial, batches, 4)
    assert same(found, reference.train(bench.initial, batches))
    assert tried == [[4, 0]] and len(heard) == len(batches)
    rounding.after_changed_steps(bench.initial, batches, 5)
    assert len(tried) == 1


def test_the_difference_of_two_programs_is_added_to_the_gradients():
    """Eight times it; a variable without a gradient has none."""
    bench = Bench()
    rounding = Rounding(bench.rounding.reference, bench.train)
    assert [program._jit_compile for program in rounding._programs] == [False, True]
    batch, reference = bench.train.first_batch(), bench.rounding.reference
    right = reference.train(bench.initial, [batch])
    gradients = [tf.ones(each.shape) for each in reference.model.trainable_variables]
    one = [tf.zeros_like(each) for each in gradients]
    other = [0.25 * each for each in gradients]
    one[0] = other[0] = None  # of a variable that the loss does not depend on
    rounding._programs = [lambda *_: one, lambda *_: other]
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        found = rounding.after_changed_steps(bench.initial, [batch], 0)
    assert np.array_equal(found[0], bench.initial[0])
    for old, new in zip(bench.initial[1:4], found[1:4], strict=True):
        np.testing.assert_allclose(new, old - 0.1 * 8 * 0.25, rtol=1e-6, atol=1e-7)
    assert not np.allclose(right[0], found[0])

    # The programs are compared at weights nearby, and the gradients are those of the weights.
    seen, weights = [], reference.model.trainable_variables

    def program(*_):
        seen.append([each.numpy() for each in weights])
        return gradients

    rounding._programs = [program, program]
    reference.restore(bench.initial)
    rounding._take_with_program_difference(batch, tf.constant([1, 2]))
    first, second, own = seen
    kernel = bench.initial[0]
    assert np.std(first[0] / kernel - 1) == pytest.approx(2.0**-8, rel=0.2)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(own[0], kernel)
