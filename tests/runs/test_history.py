from kerasmlp.runs import history

CSV = """epoch,loss,accuracy,mae,val_loss,val_accuracy,val_mae,f1
0,2.0,0.5,1,1.5,0.625,,"[0.1, 0.2]"
1,1.0,0.75,2,1.25,0.5,3,"[0.3, 0.4]"
"""


def lines(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def test_each_metric_has_a_panel_with_its_numbers(tmp_path):
    (tmp_path / "history.csv").write_text(CSV)
    accuracy, loss, f1, mae = history.draw(tmp_path, {"test_accuracy": 0.5, "test_loss": None}).axes
    assert [axes.get_title() for axes in (accuracy, loss, f1, mae)] == ["accuracy", "loss", "f1", "mae"]
    assert accuracy.get_xlabel() == "epoch"
    assert lines(accuracy) == {
        "training, running mean": [[1, 0.5], [2, 0.75]],
        "validation": [[1, 0.625], [2, 0.5]],
        "test 0.5000": [[0, 0.5], [1, 0.5]],
    }
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == list(lines(accuracy))
    assert f1.get_legend() is None
    assert [tick for tick in accuracy.get_xticks() if 0 < tick < 3] == [1, 2], "no half epochs"
    assert set(lines(loss)) == {"training, running mean", "validation"}
    assert lines(mae)["validation"] == [[2, 3]]
    assert lines(f1) == {}
    history.write(tmp_path, {})
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


def test_the_panels_and_their_numbers_are_inside_the_picture(tmp_path):
    (tmp_path / "history.csv").write_text(
        "epoch,loss,accuracy,mae\n0,1e38,0.00001234,-123456\n1,1,0.00001235,123456\n"
    )
    figure = history.draw(tmp_path, {"test_accuracy": 0.00001})
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert all(axes.get_window_extent().width > 300 for axes in figure.axes)
    for box, following in zip(boxes, [*boxes[1:], None], strict=True):
        assert box.x0 >= 0 and box.y0 >= 0
        assert box.x1 <= (figure.bbox.x1 if following is None else following.x0)
        assert box.y1 <= figure._suptitle.get_window_extent().y0


def test_a_run_without_an_epoch_has_no_figure(tmp_path):
    for content in ("", "epoch,loss\n"):
        (tmp_path / "history.csv").write_text(content)
        history.write(tmp_path, {})
    assert not (tmp_path / "history.png").exists()


def test_the_first_four_metrics_are_drawn(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,e,d,loss,c,b,a\n0,1,2,3,4,5,6\n")
    figure = history.draw(tmp_path, {})
    assert [axes.get_title() for axes in figure.axes] == ["loss", "a", "b", "c"]
    assert figure.get_suptitle() == tmp_path.name
    (tmp_path / "history.csv").unlink()
    assert history.draw(tmp_path, {}) is None
