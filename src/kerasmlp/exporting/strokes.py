"""Digits drawn with a pen: ten shapes, varied at random in slant, size, place, width and line."""

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

SIDE = 280
"""The side of the paper, as in page/strokes.js."""
Points = list[tuple[float, float]]


def _arc(x: float, y: float, width: float, height: float, start: float, end: float) -> Points:
    """Return points on an arc of an ellipse. Angles are in quarter turns, clockwise from the right."""
    angles = np.linspace(start, end, 16) * np.pi / 2
    return [(float(x + width * np.cos(each)), float(y + height * np.sin(each))) for each in angles]


STROKES: list[list[Points]] = [
    [_arc(0.5, 0.5, 0.3, 0.45, -1, 3)],
    [[(0.38, 0.2), (0.52, 0.05), (0.5, 0.95)]],
    [[*_arc(0.5, 0.28, 0.27, 0.23, -2, 0.6), (0.25, 0.93), (0.8, 0.93)]],
    [[*_arc(0.47, 0.27, 0.25, 0.22, -1.8, 1), *_arc(0.47, 0.71, 0.29, 0.23, -1, 1.8)]],
    [[(0.55, 0.05), (0.2, 0.6), (0.82, 0.6)], [(0.65, 0.35), (0.62, 0.97)]],
    [[(0.75, 0.07), (0.33, 0.07), (0.28, 0.45), *_arc(0.47, 0.68, 0.28, 0.26, -1.3, 1.7)]],
    [[*_arc(0.72, 0.45, 0.46, 0.4, -1.1, -2), *_arc(0.5, 0.7, 0.25, 0.24, -2, 2)]],
    [[(0.2, 0.08), (0.78, 0.08), (0.42, 0.95)]],
    [[*_arc(0.5, 0.27, 0.21, 0.21, 1, -3), *_arc(0.5, 0.72, 0.26, 0.24, -1, 3)]],
    [[*_arc(0.48, 0.3, 0.24, 0.24, 0, 4), (0.72, 0.3), (0.62, 0.95)]],
]
"""For each digit, the strokes of a pen: points (x, y) in a square of side 1, with y downwards."""


def drawn_digits(count: int, seed: int) -> tuple[list[list[dict[str, Any]]], NDArray[np.integer]]:
    """Return the strokes of drawn digits, as page/strokes.js takes them, and their labels, `[count]`.

    Each of the ten is drawn as often as the others.
    """
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    return [_drawn(STROKES[label], random) for label in labels.tolist()], labels


def _drawn(strokes: list[Points], random: Generator) -> list[dict[str, Any]]:
    """Return a digit as somebody draws it: slanted, narrow or wide, not in the middle, not exact."""
    height = SIDE * random.uniform(0.5, 0.85)
    turn, slant = np.deg2rad(random.normal(0, 4)), random.normal(0.1, 0.1)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    change = turned @ [[1, -slant], [0, 1]] * (height * random.uniform(0.7, 1.1), height)
    middle = SIDE / 2 + random.uniform(-0.05, 0.05, 2) * SIDE
    width = height * random.uniform(0.06, 0.13)
    drawn = []
    for points in strokes:
        placed = middle + (wobbled(np.array(points), random) - 0.5) @ change.T
        drawn.append({"width": width, "points": np.clip(placed, 0, SIDE).round(1).tolist()})
    return drawn


def wobbled(points: NDArray[np.float64], random: Generator) -> NDArray[np.float64]:
    """Return points `[points, 2]` as a hand draws them, each moved a little, with those near it."""
    moved = random.normal(0, 0.06, points.shape)
    smooth: NDArray[np.float64] = ndimage.gaussian_filter1d(moved, 3, axis=0, mode="nearest")
    return points + smooth
