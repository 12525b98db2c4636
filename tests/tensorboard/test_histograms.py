import keras
import numpy as np
import pytest
from tensorboard.plugins.histogram.summary_v2 import histogram_pb

from helpers import events
from kerasmlp.callbacks.stopwatch import Stopwatch
from kerasmlp.data.examples import Examples
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.histograms import Histograms, histogram
from kerasmlp.tensorboard.sample import Sample


def test_the_histograms_are_those_of_the_weights_of_the_trained_model(written, weight_names):
    """With an average of the weights, the averages are the weights of the trained model."""
    for name, weight in zip(weight_names, written.model.get_weights(), strict=True):
        buckets = written.events["train", f"weights/{name}"][12]
        assert buckets[:, 2].sum() == weight.size
        ends = buckets[0, 0], buckets[-1, 1]
        assert ends == pytest.approx((weight.min(), weight.max()), rel=1e-5)


def test_weights_without_a_value_have_no_histogram(tmp_path):
    layer = keras.layers.Layer()
    layer.add_weight((0, 3), name="none")
    model = keras.Sequential([keras.Input((2,)), layer])
    model.compile("sgd", "mse")
    assert [weight.shape for weight in model.trainable_variables] == [(0, 3)]
    files = Events(tmp_path)
    shown = Histograms(files, Sample(Examples(None)), Stopwatch(1))
    shown.set_model(model)
    shown.on_epoch_end(0)
    files.close()
    assert events(tmp_path) == {}


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=(784, 100)).astype(np.float32),
        np.arange(-3, 40, dtype=np.float32),
        np.full(7, 0.5, np.float32),
        np.array([0.0]),
        np.array([1.0, np.nan, 2.0]),
        np.array([1.0, np.inf]),
    ],
    ids=["weights", "even", "constant", "one", "nan", "inf"],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_a_histogram_equals_tensorboards_own_bit_for_bit(values):
    expected = histogram_pb("a", values, description="b")
    assert histogram("a", values, "b").SerializeToString() == expected.SerializeToString()
