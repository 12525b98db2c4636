"""Predict the digit in a photo, a scan or any other image."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from kerasmlp import cli, flags, photos, runs, tensorboard
from kerasmlp.checkpoints import atomic


@dataclasses.dataclass(frozen=True)
class Settings:
    """Predict the digits in each image: the three most probable ones, with their probabilities.

    An image may be a photo or a scan of digits, dark on light or light on dark: a sheet on a desk, a
    page, a form with a box; turned a little, in uneven light. Each digit is converted to the form of
    MNIST's images: light ink on a black background, fitted into a 20x20 box, with its centre of mass at
    the centre of 28x28 pixels. If there are several, only the most probable class of each is printed,
    from left to right, line by line. A ? marks a probability below 90 %. Images with more than 89
    million pixels, with more than 8 bits per channel, in CMYK, or with several frames are refused.

    Args:
        run: The run folder, as logs/NAME, latest for the newest one in logs, or a .keras file. The model
            must take grey images.
        images: Image files (PNG, JPEG and others), folders of images, or - for standard input.
        json: Print JSON: for each image a list of its digits, each with its box (left, top, right and
            bottom, as shares of the image's width and height) and the three most probable classes; if
            there is one digit, its classes beside the list, too.
        show: Save a picture of the first 100 images with boxes round their digits, and of the digits as
            the model saw them, in this PNG file.
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
        settings = flags.parse(Settings, "kerasmlp.predict", argv)
        with cli.quiet_start(settings.verbose):
            import keras  # noqa: F401
        model = runs.load(runs.run_folder.named(settings.run))
        predictions, errors = photos.predict(model, settings.images)
        unreadable.extend(errors)
        if settings.show is not None and predictions:
            atomic.write(settings.show, tensorboard.pictures.png(photos.shown(predictions)))
        if settings.json:
            print(json.dumps([_as_json(prediction) for prediction in predictions], indent=2))
        for prediction in predictions:
            if not settings.json:
                print(f"{prediction.image}: {_as_text(prediction.digits)}")
            for number, digit in enumerate(prediction.digits, 1):
                if digit.note:
                    print(f"note: {prediction.image}: digit {number}: {digit.note}", file=sys.stderr)

    return max([cli.run(command), *(cli.failed(error, 2) for error in unreadable)])


def _as_text(digits: "Sequence[photos.Digit]") -> str:
    """Return the classes of one digit with their probabilities; of several, the best of each."""
    if len(digits) > 1:
        return " ".join(f"{digit.predictions[0][0]}{digit.mark}" for digit in digits)
    marks = [digits[0].mark, *[""] * len(digits[0].predictions)]
    classes = zip(digits[0].predictions, marks, strict=False)
    return ", ".join(f"{label}{mark} ({share:.1%})" for (label, share), mark in classes)


def _as_json(prediction: "photos.Prediction") -> dict[str, Any]:
    digits = [
        {
            "box": digit.box,
            "predictions": [
                {"class": label, "probability": share} for label, share in digit.predictions
            ],
        }
        for digit in prediction.digits
    ]
    only = {"predictions": digits[0]["predictions"]} if len(digits) == 1 else {}
    return {"image": prediction.image, **only, "digits": digits}


if __name__ == "__main__":
    sys.exit(main())
