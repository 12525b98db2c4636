"""`history.csv` has the columns that there are."""

import pytest

from kerasmlp.callbacks import CSVLogger

TRAINED, VALIDATED = {"loss": 2.0, "accuracy": 0.5}, {"val_loss": 3.0, "val_accuracy": 0.25}


def written(path, epochs, *, validates, first=0):
    logger = CSVLogger(path, validates=validates)
    logger.on_train_begin()
    for epoch, logs in enumerate(epochs, first):
        logger.on_epoch_end(epoch, logs)
    logger.on_train_end()
    return path.read_text().splitlines()


def test_without_validation_there_are_no_columns_for_it(tmp_path):
    path = tmp_path / "a.csv"
    assert written(path, [TRAINED], validates=False) == ["epoch,accuracy,loss", "0,0.5,2.0"]
    again = written(path, [TRAINED], validates=False, first=1)  # as a run that is resumed
    assert again == ["epoch,accuracy,loss", "0,0.5,2.0", "1,0.5,2.0"]


@pytest.mark.parametrize("extra", [{}, {"learning_rate": 0.1}])
def test_validation_that_comes_later_has_its_columns(extra, tmp_path):
    epochs = [TRAINED | extra, TRAINED | extra | VALIDATED]
    names = ["accuracy", *extra, "loss", "val_accuracy", "val_loss"]
    rate = [",0.1"] * len(extra)
    assert written(tmp_path / "a.csv", epochs, validates=True) == [
        ",".join(["epoch", *names]),
        "".join(["0,0.5", *rate, ",2.0,NA,NA"]),
        "".join(["1,0.5", *rate, ",2.0,0.25,3.0"]),
    ]
