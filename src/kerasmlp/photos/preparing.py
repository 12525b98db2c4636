"""Brings a digit that was found in a photo to the form of MNIST's images: light ink on black, centred.

"The original black and white images were size normalized to fit in a 20x20 pixel box while preserving
their aspect ratio [...] by computing the center of mass of the pixels, and translating the image so as
to position this point at the center of the 28x28 field" (LeCun, Cortes, Burges: The MNIST database). In
MNIST's images this point is at row and column 14.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import disk, skeletonize

from kerasmlp.photos.finding import Found
from kerasmlp.photos.reading import Grey, resized

BOX = 20 / 28
"""The side of the box around the digit, as a share of the side of the image."""
THINNEST = 0.1
"""Thinner strokes are made so wide, as a share of the digit's longer side. MNIST's have about 0.14."""


def prepared(found: Found, height: int, width: int) -> NDArray[np.uint8]:
    """Return a digit in the form of MNIST's images, uint8 `[height, width, 1]`."""
    grey = 1 - found.grey if found.is_light else found.grey
    ink = np.clip(1 - grey / np.maximum(found.paper, 0.05), 0, 1)
    ink = np.clip(ink / np.percentile(ink[found.mask], 90), 0, 1).astype(np.float32)
    soft = ndimage.binary_dilation(found.mask, iterations=2)  # with the soft edge of the strokes
    digit: Grey = _thickened(np.where(soft, ink, 0), found)
    if abs(found.angle) > 1:
        digit = ndimage.rotate(digit, found.angle, order=1)
    digit = digit[ndimage.find_objects((digit > 0.1).astype(np.uint8))[0]]
    scale = np.divide((round(BOX * height), round(BOX * width)), digit.shape).min()
    digit = resized(digit, scale)
    digit = digit / digit.max()
    image = np.zeros((height, width), np.float32)
    corner = np.rint(np.divide(image.shape, 2) - ndimage.center_of_mass(digit)).astype(int)
    top, left = np.clip(corner, 0, np.subtract(image.shape, digit.shape))
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return np.rint(255 * image).astype(np.uint8)[..., None]


def _thickened(ink: Grey, found: Found) -> Grey:
    """Return ink whose strokes are at least as wide as those of a thin digit of MNIST."""
    width = found.mask.sum() / max(1, skeletonize(found.mask).sum())
    radius = round((THINNEST * max(found.size) - width) / 2)
    return ndimage.grey_dilation(ink, footprint=disk(radius)) if radius > 0 else ink
