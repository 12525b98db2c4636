"""Predict what digit a photo, a scan or any other image shows."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from kerasmlp import cli, photos, runs, tensorboard
from kerasmlp.checkpoints import atomic

if TYPE_CHECKING:
    from kerasmlp.photos import Prediction


@dataclasses.dataclass(frozen=True)
class Settings:
    """Say what digit each image shows: the three most probable, and their probabilities.

    An image may be a photo or a scan of one digit, dark on light or light on dark, anywhere on the
    paper, in uneven light. It is brought to MNIST's form: the background found, and inverted where it
    is light; the ink fitted into a 20x20 box, its centre of mass at the centre of 28x28. Images of more
    than 89 million pixels, with more than 8 bits a channel, in CMYK, or with several frames are refused.

    Args:
        run: The run folder, as logs/NAME, or a .keras file. The model takes grey images.
        images: Image files (PNG, JPEG and others), folders of them, or - for one on standard input.
        json: Print JSON.
        show: Save what the model saw as this PNG file, the first 200 images.
        verbose: Show what TensorFlow prints when it starts.
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    images: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="IMAGE...")]
    json: bool = False
    show: Path | None = None
    verbose: bool = False

    def __post_init__(self) -> None:
        if not self.images:
            raise ValueError("expected one image or more after the run folder; received none")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Return its exit status: 2 also if one image of several could not be read."""
    refused: list[Exception] = []

    def command() -> None:
        settings = cli.parse(Settings, "kerasmlp.predict", argv)
        with cli.quiet_start(settings.verbose):
            import keras  # noqa: F401
        predictions, errors = photos.predict(runs.load(settings.run), settings.images)
        refused.extend(errors)
        if settings.show is not None and predictions:
            _save(settings.show, predictions)
        if settings.json:
            print(json.dumps([_plain(prediction) for prediction in predictions], indent=2))
        else:
            for prediction in predictions:
                said = ", ".join(f"{name} ({share:.1%})" for name, share in prediction.predictions)
                print(f"{prediction.image}: {said}")

    return max([cli.run(command), *(cli.failed(error, 2) for error in refused)])


def _plain(prediction: "Prediction") -> dict[str, Any]:
    """Return a prediction as it is written in JSON."""
    listed = [{"class": label, "probability": share} for label, share in prediction.predictions]
    return {"image": prediction.image, "predictions": listed}


def _save(path: Path, predictions: list["Prediction"]) -> None:
    """Save what the model saw and what it said, as a PNG file."""
    import numpy as np

    images = np.stack([prediction.seen for prediction in predictions])
    best = [prediction.predictions[0] for prediction in predictions]
    captions = [f"{label} {share:.0%}" for label, share in best]
    pictures = tensorboard.pictures
    atomic.write(path, pictures.png(pictures.captioned(images, captions)))


if __name__ == "__main__":
    sys.exit(main())
