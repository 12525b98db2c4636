"""Drawn photos of digits: from fonts and from pen strokes, on paper with shadows.

As a program it counts how many of them, and of the scenes of `scenes.py`, a model reads correctly:
`python tests/photographs.py RUN --data DATA`.
"""

import functools
import io
import itertools
import time
from pathlib import Path

import matplotlib
import numpy as np
import tyro
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

import scenes
from kerasmlp import photos
from kerasmlp.exporting.strokes import STROKES, wobbled

FONTS = [
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSerif",
    "DejaVuSerif-Italic",
    "cmr10",
    "cmss10",
    "cmtt10",
]
"""Fonts that come with matplotlib."""


def from_font(digit, random, side=400):
    """A digit of a font: the amount of ink, 0 to 1, `[side, side]`."""
    image = Image.new("L", (side, side))
    name = FONTS[random.integers(len(FONTS))]
    path = Path(matplotlib.get_data_path(), "fonts/ttf", f"{name}.ttf")
    size = round(side * random.uniform(0.4, 0.75))
    ImageDraw.Draw(image).text(
        (side / 2, side / 2), str(digit), 255, ImageFont.truetype(path, size), anchor="mm"
    )
    return np.asarray(image) / 255


def from_strokes(digit, random, side=400):
    """A digit drawn with a pen: the amount of ink, 0 to 1, `[side, side]`."""
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    size = side * random.uniform(0.35, 0.7)
    width = round(size * random.uniform(0.03, 0.14))
    lean = random.uniform(-0.15, 0.25)
    for stroke in STROKES[digit]:
        points = wobbled(np.array(stroke) - 0.5, random)
        points[:, 0] -= lean * points[:, 1]
        xy = [tuple(point) for point in side / 2 + size * points]
        draw.line(xy, 255, width, joint="curve")
        for x, y in xy:
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), 255)
    return np.asarray(image) / 255


def photographed(ink, random):
    """A grey image of the ink, rotated and moved, on paper in uneven light, with noise."""
    side = len(ink)
    ink = ndimage.rotate(ink, random.uniform(-12, 12), reshape=False, order=1)
    ink = ndimage.shift(ink, random.uniform(-0.12, 0.12, 2) * side, order=1)
    rows, columns = np.mgrid[:side, :side] / side
    angle, place = random.uniform(0, 2 * np.pi), random.uniform(0.2, 0.8)
    across = (rows - 0.5) * np.sin(angle) + (columns - 0.5) * np.cos(angle) + 0.5
    softness = random.uniform(0.05, 0.4)
    light = 1 - random.uniform(0, 0.5) / (1 + np.exp((across - place) / softness * 4))
    paper, pen = random.uniform(0.7, 1), random.uniform(0, 0.3)
    grey = (paper * (1 - ink) + pen * ink) * light
    if random.random() < 0.3:
        grey = 1 - grey
    grey = ndimage.gaussian_filter(grey, random.uniform(0, 1.5))
    grey = grey + random.normal(0, random.uniform(0, 0.06), grey.shape)
    return Image.fromarray(np.rint(255 * np.clip(grey, 0, 1)).astype(np.uint8))


@functools.cache
def photo(digit, seed):
    """A photo of the digit: from a font if the seed is even, from pen strokes if it is odd."""
    random = np.random.default_rng([digit, seed])
    draw = from_strokes if seed % 2 else from_font
    return photographed(draw(digit, random), random)


def plain_seven(side=200, ink=20, paper=230, at=(0.0, 0.0), size=0.5):
    """A 7 in a grey image without noise."""
    image = Image.new("L", (side, side), paper)
    points = [(-0.5, -0.8), (0.5, -0.8), (-0.1, 0.8)]
    across, down = at
    xy = [
        (side * (0.5 + across + x * size / 1.6), side * (0.5 + down + y * size / 1.6)) for x, y in points
    ]
    ImageDraw.Draw(image).line(xy, ink, round(side * size / 8), joint="curve")
    return image


def sevens(apart):
    """Two 7s, that many pixels apart; a 7 is 71 pixels wide."""
    seven, paper = plain_seven(), Image.new("L", (400, 200), 230)
    for left in (0, apart):
        paper.paste(seven, (left, 0), Image.eval(seven, lambda value: 255 if value < 100 else 0))
    return paper


def noisy_seven():
    noise = np.random.default_rng(0).normal(0, 15, (400, 400))
    grey = np.asarray(plain_seven(side=400)) + noise
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))


def file(image, format="PNG", **options):
    """The image as a file in memory."""
    content = io.BytesIO()
    image.save(content, format, **options)
    content.seek(0)
    return content


def prepared(image):
    """The first digit in an image as a model sees it, uint8 `[28, 28, 1]`."""
    return photos.prepared(photos.find(np.asarray(image.convert("L"), np.float32) / 255)[0], 28, 28)


SCENES = {
    "a sheet on a desk, seen on four sides": lambda writer: writer.sheet(sides=4),
    "on three sides": lambda writer: writer.sheet(sides=3),
    "on one or two sides": lambda writer: writer.sheet(sides=writer.random.integers(1, 3)),
    "a margin of 2 % of the width": lambda writer: writer.sheet(margin=0.02),
    "of 15 %": lambda writer: writer.sheet(margin=0.15),
    "of 30 %": lambda writer: writer.sheet(margin=0.3),
    "a printed box, lines of 2 to 8 pixels": lambda writer: writer.box(),
    "a scanned page, 8 mm": lambda writer: writer.page(8),
    "a scanned page, 12 mm": lambda writer: writer.page(12),
    "a pencil": lambda writer: writer.pencil(),
    "a number of 2 to 4 digits": lambda writer: writer.number(),
    "empty paper": lambda writer: writer.blank("empty"),
    "a speck": lambda writer: writer.blank("speck"),
    "a fold": lambda writer: writer.blank("fold"),
}


def scene(name, images, labels, number):
    """A scene of that name, with digits of a data set."""
    return SCENES[name](scenes.Writer(images, labels, [list(SCENES).index(name), number]))


def count(name, total, draw, model):
    """Print how many of `total` images are read right; return the certainty of each digit, and if so."""
    right, digits, begin, seconds = 0, [], 0.0, 0.0
    for number in range(total):
        image, truth = draw(number)
        content = file(image, compress_level=1)
        begin = time.perf_counter()
        predictions, _ = photos.predict(model, [content])
        seconds += time.perf_counter() - begin
        best = [digit.predictions[0] for each in predictions for digit in each.digits]
        right += tuple(label for label, _ in best) == truth
        if len(best) == len(truth):
            digits += [(share, label == true) for (label, share), true in zip(best, truth, strict=True)]
    print(f"| {name} | {right} of {total} | {seconds / total:.2f} |", flush=True)
    return digits


def main(run: Path, /, photos: int = 100, data: str = "mnist") -> None:
    """Count the drawn photos in which a model reads all digits, and no more; and how sure it is.

    Args:
        run: The run folder, or a .keras file.
        photos: Number of photos of each kind.
        data: The data whose test images are the digits of the scenes; the model must not know them.
    """
    import kerasmlp
    from kerasmlp.data import MNISTLoader

    model, test = kerasmlp.load(run), MNISTLoader(data)
    print("| scene | read | seconds each |\n| --- | ---: | ---: |")
    digits = []
    for kind, name in enumerate(("printed digits", "strokes of a pen")):
        digits += count(
            name, photos, lambda n, kind=kind: (photo(n % 10, 2 * (n // 10) + kind), (n % 10,)), model
        )
    for name in SCENES:

        def draw(number, name=name):
            drawn = scene(name, test.test_data, test.test_label, number)
            return drawn.image(), drawn.digits

        digits += count(name, photos, draw, model)
    print("\n| said with | digits | right |\n| --- | ---: | ---: |")
    sure, is_right = np.array(digits).T
    for low, high in itertools.pairwise((0, 0.5, 0.7, 0.85, 0.95, 0.99, 1.001)):
        chosen = is_right[(sure >= low) & (sure < high)]
        print(f"| {low:.0%} to {min(high, 1):.0%} | {len(chosen)} | {chosen.mean():.1%} |")


if __name__ == "__main__":
    tyro.cli(main, prog="python tests/photographs.py")
