"""Say what digit a photo, a scan or any other image shows."""

import dataclasses
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from kerasmlp import atomic, cli

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

TOP = 3
STDIN = "-"


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


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What the model says of an image.

    Attributes:
        image: its path, or `-`.
        predictions: the most probable classes, at most three, and their probabilities.
    """

    image: str
    predictions: list[tuple[int, float]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status: 2 too if one image of several could not be read."""
    refused: list[Exception] = []

    def command() -> None:
        settings = cli.parse(Settings, "kerasmlp.predict", argv)
        with cli.quiet_start(settings.verbose):
            import keras  # noqa: F401
        predictions, errors = predict(settings)
        refused.extend(errors)
        if settings.json:
            print(json.dumps([_plain(prediction) for prediction in predictions], indent=2))
        else:
            for prediction in predictions:
                said = ", ".join(f"{name} ({share:.1%})" for name, share in prediction.predictions)
                print(f"{prediction.image}: {said}")

    return max([cli.run(command), *(cli.failed(error, 2) for error in refused)])


def predict(settings: Settings) -> tuple[list[Prediction], list[Exception]]:
    """Return what the model says of each image, and an error for each that could not be read.

    Raises:
        ValueError: there is no model, or none of grey images; or a folder has no image.
        OSError: a file or a folder cannot be read, or `settings.show` cannot be written.
    """
    import numpy as np

    from kerasmlp.model import load

    model = load(settings.run)
    shape = tuple(model.get_build_config()["input_shape"][1:])
    if len(shape) != 3 or shape[-1] != 1:
        raise ValueError(f"expected a model of grey images; that of {settings.run} takes {shape}")
    names = [name for given in settings.images for name in _files(given)]
    images: list[tuple[str, NDArray[np.uint8]]] = []
    errors: list[Exception] = []
    for name in _progress(names):
        try:
            images.append((name, _seen(name, shape)))
        except (ValueError, OSError) as error:
            errors.append(error)
    if not images:
        return [], errors
    seen = np.stack([image for _, image in images])
    predictions = [
        Prediction(name, [(int(label), float(row[label])) for label in np.argsort(-row)[:TOP]])
        for (name, _), row in zip(images, _probabilities(model, seen), strict=True)
    ]
    if settings.show is not None:
        _show(settings.show, seen, predictions)
    return predictions, errors


def _files(given: str) -> list[str]:
    """Return the images that an argument names."""
    from PIL import Image

    if given == STDIN or not Path(given).is_dir():
        return [given]
    endings = Image.registered_extensions()
    found = sorted(str(path) for path in Path(given).iterdir() if path.suffix.lower() in endings)
    if not found:
        raise ValueError(f"expected a folder with images; {given} has none")
    return found


def _seen(name: str, shape: tuple[int, ...]) -> "NDArray[np.uint8]":
    """Return an image as the model is to see it."""
    from kerasmlp import photos

    source = io.BytesIO(sys.stdin.buffer.read()) if name == STDIN else Path(name)
    try:
        return photos.prepared(photos.read(source), *shape[:2])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _probabilities(model: "keras.Model", images: "NDArray[np.uint8]") -> Any:
    """Return the model's outputs, `[images, classes]`."""
    import tensorflow as tf

    from kerasmlp.batches import scale

    return model(scale(tf.constant(images)), training=False).numpy()


def _progress(names: list[str]) -> Iterator[str]:
    """Yield the names, with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not console.is_terminal and len(names) > 10:
        console.print(f"reading {len(names)} images")
    yield from track(names, "reading", console=console, transient=True, disable=not console.is_terminal)


def _plain(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction as it is written in JSON."""
    listed = [{"class": label, "probability": share} for label, share in prediction.predictions]
    return {"image": prediction.image, "predictions": listed}


def _show(path: Path, images: "NDArray[np.uint8]", predictions: list[Prediction]) -> None:
    """Save what the model saw, and what it said."""
    from kerasmlp import pictures

    captions = [
        f"{prediction.predictions[0][0]} {prediction.predictions[0][1]:.0%}"
        for prediction in predictions
    ]
    atomic.write(path, pictures.png(pictures.captioned(images, captions)))


if __name__ == "__main__":
    sys.exit(main())
