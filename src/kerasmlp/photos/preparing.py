"""Converts a photo or a scan of a digit to the form of MNIST's images: light ink on black, centred.

"The original black and white images were size normalized to fit in a 20x20 pixel box while preserving
their aspect ratio [...] by computing the center of mass of the pixels, and translating the image so as
to position this point at the center of the 28x28 field" (LeCun, Cortes, Burges: The MNIST database). In
MNIST's images this point is at row and column 14.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.stats import skew
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.segmentation import clear_border

from kerasmlp.photos.reading import Grey

BOX = 20 / 28
"""The side of the box around the digit, as a share of the side of the image."""
WORKING_SIDE = 280
"""The ink is found in an image with this many pixels along its longer side."""
LEAST_CONTRAST = 0.1
"""The smallest contrast of ink and paper that is accepted. Black on white is 1."""


def prepared(grey: Grey, height: int, width: int) -> NDArray[np.uint8]:
    """Return a digit in the form of MNIST's images, uint8 `[height, width, 1]`.

    The digit is dark on light paper, or the reverse. Raise a ValueError if no ink is found.
    """
    ink = _ink(_denoised(grey))
    ink = ink[ndimage.find_objects((ink > 0).view(np.uint8))[0]]
    scale = np.divide((round(BOX * height), round(BOX * width)), ink.shape).min()
    digit = _resized(ink, scale, Image.Resampling.BOX)
    digit = np.clip(digit / digit.max(), 0, 1)
    image = np.zeros((height, width), np.float32)
    corner = np.rint(np.divide(image.shape, 2) - ndimage.center_of_mass(digit)).astype(int)
    top, left = np.clip(corner, 0, np.subtract(image.shape, digit.shape))
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return np.rint(255 * image).astype(np.uint8)[..., None]


def _denoised(grey: Grey) -> Grey:
    """Return an image with a longer side of `WORKING_SIDE` pixels, without its finest noise."""
    scale = WORKING_SIDE / max(grey.shape)
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return ndimage.gaussian_filter(_resized(grey, scale, method), WORKING_SIDE / 300)


def _resized(grey: Grey, scale: float, method: Image.Resampling) -> Grey:
    height, width = grey.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(grey).resize(size, method))


def _ink(grey: Grey) -> Grey:
    """Return the amount of the digit's ink at each pixel, from 0 to 1.

    Ink is rare: if the lighter pixels are rare, the image is inverted. A closing removes everything as
    narrow as a stroke, and leaves the brightness of the paper. So a shadow is not ink.
    """
    side = max(grey.shape)
    if skew(grey - ndimage.gaussian_filter(grey, side / 6), axis=None) > 0:
        grey = 1 - grey
    paper = ndimage.gaussian_filter(_closed(grey, side // 6), side / 50)
    ink = np.clip(1 - grey / np.maximum(paper, 0.05), 0, 1)
    mask = ink > max(threshold_otsu(ink), LEAST_CONTRAST / 2)
    if not mask.any() or ink[mask].mean() - ink[~mask].mean() < LEAST_CONTRAST:
        raise ValueError("expected a digit in clear contrast to its paper; received no ink")
    digit = _digit(mask)
    ink = np.clip(ink / np.percentile(ink[digit], 90), 0, 1)
    return np.where(ndimage.binary_dilation(digit), ink, 0)  # dilated: with the soft edge of the strokes


def _closed(grey: Grey, radius: int) -> Grey:
    """Return the image without dark parts that are narrower than twice `radius`.

    The edge is repeated beyond it, or the closing would also remove the darker end of a shadow.
    """
    closed = ndimage.grey_closing(np.pad(grey, radius, mode="edge"), size=2 * radius + 1)
    return closed[radius:-radius, radius:-radius]


def _digit(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the ink without specks, and without ink at the image's edge if there is enough inside."""
    numbered = label(mask)
    areas = np.bincount(clear_border(numbered)[mask], minlength=numbered.max() + 1)
    areas[0] = 0  # ink at the edge
    if areas.max() < 0.002 * mask.size:
        areas = np.bincount(numbered[mask])
    return (areas > areas.max() / 20)[numbered]
