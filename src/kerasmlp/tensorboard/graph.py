"""The dashboard Graphs: the operations of the model."""

from typing import Any

import keras
import tensorflow as tf

from kerasmlp.loops import Logs
from kerasmlp.tensorboard import notes
from kerasmlp.tensorboard.events import Events


class Graph(keras.callbacks.Callback):
    """Writes the operations of the model to `train`. A model that cannot be traced has none.

    Args:
        inputs: the specification of a batch of inputs, in the structure that the model takes.
    """

    def __init__(self, events: Events, inputs: Any) -> None:
        super().__init__()
        self._events, self._inputs = events, inputs

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self._events.initial_step:
            return  # a resumed run has written the graph before
        training = {"training": False} if self.model._call_has_training_arg else {}
        forward = tf.function(lambda inputs: self.model(inputs, **training), autograph=False)
        try:
            graph = forward.get_concrete_function(self._inputs).graph
        except Exception as error:  # of the model's own code: any
            notes.left_out("graph", error)
            return
        self._events.add("train", 0, graph_def=graph.as_graph_def().SerializeToString())
