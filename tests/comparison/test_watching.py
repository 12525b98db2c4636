"""What a loop does is seen by what it draws and by the optimizers that it uses."""

import keras
import pytest
import tensorflow as tf

import kinds
from kerasmlp.comparison.reference import own_gradients, values
from kerasmlp.comparison.verdict import same
from kerasmlp.comparison.watching import OwnOptimizers, drawing

NUMBERS = tf.data.Dataset.range(3)


def seen(read, but_of=None):
    events = []
    with drawing(lambda: events.append("asks"), lambda batch: events.append(int(batch)), but_of):
        read()
    return events


def test_each_batch_is_seen_and_that_there_is_none_left():
    assert seen(lambda: list(NUMBERS)) == ["asks", 0, "asks", 1, "asks", 2, "asks"]
    iterator = type(iter(NUMBERS))
    original = iterator.__next__
    with drawing(lambda: None, lambda batch: None):
        assert iterator.__next__.__name__ == "__next__"
    with pytest.raises(ZeroDivisionError):
        seen(lambda: 1 / 0)
    assert iterator.__next__ is original


def test_what_a_graph_draws_is_not_seen():
    @tf.function
    def total():
        return NUMBERS.reduce(tf.constant(0, tf.int64), lambda one, other: one + other)

    assert seen(total) == []


@pytest.mark.parametrize(
    "read", [NUMBERS, NUMBERS.map(lambda x: x).prefetch(1), NUMBERS.concatenate(NUMBERS)]
)
def test_what_is_read_from_the_validation_data_is_not_seen(read):
    assert seen(lambda: list(read), but_of=NUMBERS) == []
    assert seen(lambda: list(tf.data.Dataset.range(1)), but_of=NUMBERS) == ["asks", 0, "asks"]


def test_what_is_drawn_while_a_batch_is_looked_at_is_not_seen():
    events = []

    def before():
        events.append("asks")
        assert list(NUMBERS.as_numpy_iterator()) == [0, 1, 2]
        assert [int(each) for each in NUMBERS] == [0, 1, 2]

    with drawing(before, lambda batch: events.append(int(batch))):
        list(tf.data.Dataset.range(1))
    assert events == ["asks", 0, "asks"]


@pytest.fixture
def model():
    return kinds.plain(keras.optimizers.SGD(0.1, momentum=0.9))


def step(model, optimizer, of=None):
    x, y = (part[:8] for part in kinds.data_of(kinds.plain))
    gradients = own_gradients(model, (x, y))
    optimizer.apply(gradients, (of or model).trainable_variables)


def test_optimizers_of_a_loop_are_found_in_the_order_of_their_first_step(model):
    first, second = keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.1)
    apply = keras.optimizers.Optimizer.apply
    with OwnOptimizers(model) as own:
        assert keras.optimizers.Optimizer.apply.__name__ == "apply"
        for optimizer in (model.optimizer, first, second, first):
            step(model, optimizer)
    assert [each is optimizer for each, optimizer in zip(own.found, (first, second), strict=True)] == [
        True
    ] * 2
    assert own.other_weights == []
    assert own.iterations() == 4
    assert keras.optimizers.Optimizer.apply is apply


def test_the_variables_before_the_first_step_are_known_and_put_back(model):
    first, second = keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.1, momentum=0.5)
    with OwnOptimizers(model) as own:
        step(model, first)
        step(model, second)
    for optimizer in (first, second):
        initial = own.initial(optimizer)
        fresh = type(optimizer).from_config(optimizer.get_config())
        fresh.build(model.trainable_variables)
        assert same(initial, values(fresh.variables))
        assert not same(initial, values(optimizer.variables))
    assert own.initial(model.optimizer) == []
    own.reset()
    assert all(same(own.initial(each), values(each.variables)) for each in own.found)
    assert own.iterations() == 0


def test_an_optimizer_of_other_weights_is_not_the_models(model):
    other = kinds.plain()
    with OwnOptimizers(model) as own:
        step(model, keras.optimizers.SGD(0.1), of=other)
    assert own.found == []
    assert own.other_weights == [each.path for each in other.trainable_variables]


def test_the_optimizer_within_a_loss_scale_is_that_of_the_model():
    model = kinds.plain(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)))
    with OwnOptimizers(model) as own:
        step(model, model.optimizer)
        step(model, model.optimizer.inner_optimizer)
    assert own.found == []
