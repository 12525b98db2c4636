"""A photo or a scan of a digit, brought to MNIST's form: light ink on black, in a box at the centre.

"The original black and white images were size normalized to fit in a 20x20 pixel box while preserving
their aspect ratio [...] by computing the center of mass of the pixels, and translating the image so as
to position this point at the center of the 28x28 field" (LeCun, Cortes, Burges: The MNIST database). On
the images themselves that point is found at row and column 14.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.stats import skew
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops

Grey = NDArray[np.float32]

BOX = 20 / 28
"""The side of the box, as a share of the image's."""
SIDE = 280
"""Pixels along the longer side that an image is worked on with."""
LEAST_CONTRAST = 0.1
"""Of the ink to the paper, 1 being black on white; below it there is nothing to read."""


def prepared(grey: Grey, height: int, width: int) -> NDArray[np.uint8]:
    """Return a digit in MNIST's form, uint8 `[height, width, 1]`.

    Args:
        grey: `[rows, columns]`, from 0, black, to 1, white; ink on paper, either of them the darker one.
        height: of the image.
        width: of the image.

    Raises:
        ValueError: there is no ink to see.
    """
    ink = _ink(_resized(grey))
    rows, columns = ndimage.find_objects((ink > 0).view(np.uint8))[0]
    box = _in_box(ink[rows, columns], round(BOX * height), round(BOX * width))
    canvas = np.zeros((height, width), np.float32)
    corner = [
        int(np.clip(round(side / 2 - middle), 0, side - extent))
        for side, middle, extent in zip(
            canvas.shape, ndimage.center_of_mass(box), box.shape, strict=True
        )
    ]
    canvas[corner[0] : corner[0] + box.shape[0], corner[1] : corner[1] + box.shape[1]] = box
    return np.rint(255 * canvas).astype(np.uint8)[..., None]


def _resized(grey: Grey) -> Grey:
    """Return an image of `SIDE` pixels along its longer side, without the finest of its noise."""
    image = Image.fromarray(grey)
    scale = SIDE / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return ndimage.gaussian_filter(np.asarray(image.resize(size, method)), SIDE / 300)


def _ink(grey: Grey) -> Grey:
    """Return how much ink of the digit there is at each pixel, 0 to 1.

    The paper's brightness is what a closing leaves, in which nothing as narrow as a stroke remains; so a
    shadow is no ink. Ink is what is rare: the lighter pixels if these are rare.
    """
    side = max(grey.shape)
    if skew(grey - ndimage.gaussian_filter(grey, side / 6), axis=None) > 0:
        grey = 1 - grey
    paper = ndimage.gaussian_filter(_closed(grey, side // 6), side / 50)
    ink = np.clip(1 - grey / np.maximum(paper, 0.05), 0, 1)
    mask = ink > max(threshold_otsu(ink), LEAST_CONTRAST / 2)
    if not mask.any() or ink[mask].mean() - ink[~mask].mean() < LEAST_CONTRAST:
        raise ValueError("expected a digit in clear contrast to its paper; there is none to see")
    digit = _digit(mask)
    ink = np.clip(ink / np.percentile(ink[digit], 90), 0, 1)
    return np.where(ndimage.binary_dilation(digit), ink, 0)  # with the soft edge of its strokes


def _closed(grey: Grey, radius: int) -> Grey:
    """Return the image without what is dark and narrower than twice `radius`.

    Beyond its edge it goes on as it ends there: else the darker end of a shadow would be closed too.
    """
    closed = ndimage.grey_closing(np.pad(grey, radius, mode="edge"), size=2 * radius + 1)
    return closed[radius:-radius, radius:-radius]


def _digit(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what of the ink is the digit: no specks, and nothing at the edge if some is inside."""
    numbered = label(mask)
    regions = regionprops(numbered)
    inside = [
        region
        for region in regions
        if min(region.bbox[:2]) > 0 and region.bbox[2] < mask.shape[0] and region.bbox[3] < mask.shape[1]
    ]
    largest = max((region.area for region in inside), default=0)
    if largest < 0.002 * mask.size:
        inside, largest = regions, max(region.area for region in regions)
    return np.isin(numbered, [region.label for region in inside if region.area > largest / 20])


def _in_box(ink: Any, height: int, width: int) -> Grey:
    """Return the ink, as large as it fits in the box."""
    scale = min(height / ink.shape[0], width / ink.shape[1])
    size = max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale))
    box = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BOX))
    return np.clip(box / box.max(), 0, 1)
