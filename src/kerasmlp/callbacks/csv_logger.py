"""The history of a run as a table, with the columns that there are."""

from pathlib import Path

import keras

from kerasmlp.loops import Logs


class CSVLogger(keras.callbacks.CSVLogger):
    """Writes a row for each epoch, as Keras' class does.

    That class has a column `val_...` beside each other one also where nothing is validated, and for the
    learning rate, which no validation has.

    Args:
        path: the file. Rows are appended to those that it has.
        validates: whether there is validation, after the first epoch or later.
    """

    def __init__(self, path: Path, validates: bool) -> None:
        super().__init__(path, append=True)
        self.keys: list[str] | None
        self._validates = validates

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.keys is None:
            self.keys = self._columns(sorted(logs or {}))
        super().on_epoch_end(epoch, logs)

    def _columns(self, names: list[str]) -> list[str]:
        if not self._validates or any(name.startswith("val_") for name in names):
            return names
        return [*names, *(f"val_{name}" for name in names if name != "learning_rate")]
