"""Predict the digit in a photo, a scan or any other image."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from kerasmlp import cli, photos, runs, tensorboard
from kerasmlp.checkpoints import atomic


@dataclasses.dataclass(frozen=True)
class Settings:
    """Predict the digit in each image: the three most probable digits, with their probabilities.

    An image may be a photo or a scan of one digit, dark on light or light on dark, anywhere on the
    paper, in uneven light. It is converted to the form of MNIST's images: light ink on a black
    background, fitted into a 20x20 box, with its centre of mass at the centre of 28x28 pixels. Images
    with more than 89 million pixels, with more than 8 bits per channel, in CMYK, or with several frames
    are refused.

    Args:
        run: The run folder, as logs/NAME, or a .keras file. The model must take grey images.
        images: Image files (PNG, JPEG and others), folders of images, or - for standard input.
        json: Print JSON.
        show: Save the images as the model saw them, the first 200, in this PNG file.
        verbose: Print TensorFlow's start-up messages.
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
    """Run the command, and return its exit status: 2 if any image could not be read."""
    unreadable: list[Exception] = []

    def command() -> None:
        settings = cli.parse(Settings, "kerasmlp.predict", argv)
        with cli.quiet_start(settings.verbose):
            import keras  # noqa: F401
        predictions, errors = photos.predict(runs.load(settings.run), settings.images)
        unreadable.extend(errors)
        if settings.show is not None and predictions:
            _save(settings.show, predictions)
        if settings.json:
            print(json.dumps([_as_json(prediction) for prediction in predictions], indent=2))
        else:
            for prediction in predictions:
                classes = ", ".join(f"{name} ({share:.1%})" for name, share in prediction.predictions)
                print(f"{prediction.image}: {classes}")

    return max([cli.run(command), *(cli.failed(error, 2) for error in unreadable)])


def _as_json(prediction: "photos.Prediction") -> dict[str, Any]:
    classes = [{"class": label, "probability": share} for label, share in prediction.predictions]
    return {"image": prediction.image, "predictions": classes}


def _save(path: Path, predictions: list["photos.Prediction"]) -> None:
    """Save the images as the model saw them, with the most probable digits, as a PNG file."""
    import numpy as np

    images = np.stack([prediction.seen for prediction in predictions])
    captions = ["{} {:.0%}".format(*prediction.predictions[0]) for prediction in predictions]
    pictures = tensorboard.pictures
    atomic.write(path, pictures.png(pictures.captioned(images, captions)))


if __name__ == "__main__":
    sys.exit(main())
