import keras
import numpy as np
import pytest

from helpers import compiled, events, run
from kerasmlp.data import Batches, Examples
from kerasmlp.loops.builtin import LOOPS
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.graph import Graph
from small_models import dropout


@pytest.fixture
def operations(small_model, digits, tmp_path):
    """A function that returns the names and the kinds of all nodes of the graph of a loop."""

    def operations(loop, **compilation):
        files = Events(tmp_path / loop)
        graph = Graph(files, Batches(*digits, 10).epoch(0).element_spec[0])
        once = {"epochs": 1, "batch_size": 10, "validation": False}
        run(loop, small_model(**compilation), digits, **once, callbacks=[graph])
        files.close()
        (shown,) = events(tmp_path / loop)["train", "graph"].values()
        return {(node.name, node.op) for node in shown.node}

    return operations


PROGRAM = {"jit_compile": True, "steps_per_execution": 5}


@pytest.mark.parametrize(
    "loop, compilation",
    [
        ("fit", {}),
        ("graph", {}),
        ("fit", PROGRAM),
        pytest.param("graph", PROGRAM, marks=pytest.mark.thorough),
    ],
    ids=["fit", "graph", "fit, program", "graph, program"],
)
def test_the_graph_tells_what_the_loop_has_traced(operations, loop, compilation):
    scopes = {name.partition("/")[0] for name, _ in operations(loop, **compilation)}
    by_hand = {"compile_loss", "metrics"}
    if loop == "fit":
        assert "model.train_step" in scopes and not by_hand & scopes
    else:
        assert by_hand < scopes and "model.train_step" not in scopes


def test_the_eager_loop_has_the_graph_of_the_forward_pass(operations):
    shown = operations("eager")
    assert any("hidden" in name and op == "MatMul" for name, op in shown)
    assert any(op == "Softmax" for _, op in shown)
    assert not any("metrics" in name or "gradient" in name for name, _ in shown)


@pytest.fixture
def graph_of(digits, tmp_path):
    """A function that ends two batches of a model that no loop has traced; it returns the graphs."""

    def graph_of(model, **resumed):
        files = Events(tmp_path, **resumed)
        graph = Graph(files, Batches(*digits, 7).epoch(0).element_spec[0])
        graph.set_model(model)
        graph.on_train_begin()
        graph.on_train_batch_end(0)
        graph.on_train_batch_end(1)
        files.close()
        return list(events(tmp_path).get(("train", "graph"), {}).values())

    return graph_of


def test_the_forward_pass_is_that_of_an_evaluation_and_is_written_once(graph_of):
    (shown,) = graph_of(compiled(dropout))
    assert not any("Random" in node.op for node in shown.node)


def test_a_model_that_does_not_ask_whether_it_is_trained_has_a_graph(graph_of):
    class Plain(keras.Model):
        def call(self, x):
            return keras.ops.tanh(x)

    model = Plain()
    model.compile(None, "mse")
    (shown,) = graph_of(model)
    assert "Tanh" in {node.op for node in shown.node}


def test_a_resumed_run_does_not_write_the_graph_again(graph_of, small_model):
    assert graph_of(small_model(), initial_step=1) == []


def test_a_model_that_cannot_be_traced_has_no_graph(tmp_path, capsys):
    class Eager(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, x):
            return self.dense(x.numpy())

    model = Eager()
    model.compile("sgd", "mse", run_eagerly=True)
    x = np.ones((4, 4), np.float32)
    model(keras.ops.convert_to_tensor(x))  # builds it
    batches, files = Batches(x, x[:, :1], 2, are_images=False), Events(tmp_path)
    LOOPS["eager"](
        model,
        batches,
        Examples(x, x[:, :1]).in_order(),
        1,
        [Graph(files, batches.epoch(0).element_spec[0])],
    )
    files.close()
    assert not list(tmp_path.rglob("events.*"))
    assert capsys.readouterr().err.startswith("note: TensorBoard shows no graph of this model: ")
