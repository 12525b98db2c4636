def test_the_graph_of_the_model_is_written(written):
    (graph,) = written.events["train", "graph"].values()
    operations = {(node.name, node.op) for node in graph.node}
    assert any("hidden" in name and op == "MatMul" for name, op in operations)
    assert any(op == "Softmax" for _, op in operations)
