"""The dashboard Graphs: the operations of a train step."""

from typing import Any

import keras
import tensorflow as tf

from kerasmlp.keras_internals import takes_training
from kerasmlp.loops import Logs
from kerasmlp.tensorboard import notes
from kerasmlp.tensorboard.events import Events


class Graph(keras.callbacks.Callback):
    """Writes the operations of a train step to `train`, as TensorFlow has traced them.

    Where no step is traced, as by the eager loop, they are those of the forward pass. A model that
    cannot be traced has none.

    Args:
        inputs: the specification of a batch of inputs, in the structure that the model takes.
    """

    def __init__(self, events: Events, inputs: Any) -> None:
        super().__init__()
        self._events, self._inputs = events, inputs

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._is_written = bool(self._events.initial_step)  # by the run that is resumed

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self._is_written:
            return
        self._is_written = True
        graph = getattr(self.model.train_function, "step_graph", None) or self._forward()
        if graph is not None:
            self._events.add("train", 0, graph_def=graph.as_graph_def().SerializeToString())

    def _forward(self) -> Any:
        """Return the graph of the forward pass, None if there is none."""
        training = {"training": False} if takes_training(self.model) else {}
        forward = tf.function(lambda inputs: self.model(inputs, **training), autograph=False)
        try:
            return forward.get_concrete_function(self._inputs).graph
        except Exception as error:  # of the model's own code: any
            notes.left_out("graph", error)
            return None
