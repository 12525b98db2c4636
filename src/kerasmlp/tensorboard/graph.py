"""The dashboard Graphs: the operations of the model."""

import keras
import tensorflow as tf

from kerasmlp.loops import Logs
from kerasmlp.tensorboard.events import Events


class Graph(keras.callbacks.Callback):
    """Writes the operations of the model, for a batch like `inputs`, to `train`."""

    def __init__(self, events: Events, inputs: tf.TensorSpec) -> None:
        super().__init__()
        self._events, self._inputs = events, inputs

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self._events.initial_step:
            return  # a resumed run has written the graph before
        forward = tf.function(lambda images: self.model(images, training=False), autograph=False)
        graph = forward.get_concrete_function(self._inputs).graph
        self._events.add("train", 0, graph_def=graph.as_graph_def().SerializeToString())
