"""Digits drawn with a pen: ten shapes, varied at random in slant, size, place, width and line."""

import itertools
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

SIDE = 280
"""The side of the paper, as in page/strokes.js."""
Part = list[tuple[float, float]]
"""Two points are the ends of a line, more are points of a curve: x and y, each from 0 to 1."""

SHAPES: dict[int, list[list[Part]]] = {
    0: [
        [
            [
                *((0.55, 0.0), (0.2, 0.12), (0.05, 0.5), (0.2, 0.9), (0.5, 1.0)),
                *((0.82, 0.85), (0.95, 0.5), (0.82, 0.12), (0.5, 0.0)),
            ]
        ]
    ],
    1: [[[(0.55, 0.0), (0.45, 1.0)]]],
    2: [
        [
            [(0.1, 0.25), (0.3, 0.03), (0.7, 0.03), (0.88, 0.28), (0.6, 0.62), (0.08, 1.0)],
            [(0.08, 1.0), (0.95, 0.97)],
        ]
    ],
    3: [
        [
            [(0.12, 0.1), (0.5, 0.0), (0.85, 0.22), (0.4, 0.47)],
            [(0.4, 0.47), (0.9, 0.7), (0.6, 1.0), (0.1, 0.9)],
        ]
    ],
    4: [
        [[(0.25, 0.0), (0.08, 0.55)], [(0.08, 0.55), (0.95, 0.52)]],
        [[(0.75, 0.05), (0.68, 1.0)]],
    ],
    5: [
        [
            [(0.25, 0.03), (0.2, 0.42)],
            [(0.2, 0.42), (0.6, 0.38), (0.88, 0.68), (0.6, 0.98), (0.1, 0.92)],
        ],
        [[(0.25, 0.03), (0.88, 0.0)]],
    ],
    6: [
        [
            [
                *((0.68, 0.0), (0.3, 0.3), (0.14, 0.7), (0.38, 1.0), (0.75, 0.88)),
                *((0.72, 0.6), (0.42, 0.55), (0.16, 0.76)),
            ]
        ]
    ],
    7: [[[(0.08, 0.06), (0.9, 0.04)], [(0.9, 0.04), (0.58, 0.5), (0.4, 1.0)]]],
    8: [
        [
            [
                *((0.78, 0.15), (0.48, 0.0), (0.2, 0.2), (0.5, 0.46), (0.85, 0.75)),
                *((0.5, 1.0), (0.15, 0.78), (0.5, 0.46), (0.8, 0.22), (0.76, 0.12)),
            ]
        ]
    ],
    9: [
        [
            [
                *((0.82, 0.25), (0.52, 0.5), (0.18, 0.32), (0.4, 0.03), (0.75, 0.08)),
                *((0.83, 0.28), (0.76, 0.65), (0.58, 1.0)),
            ]
        ]
    ],
}
"""The strokes of each digit. A stroke has parts that begin where the part before ended."""


def drawn_digits(count: int, seed: int) -> tuple[list[list[dict[str, Any]]], NDArray[np.integer]]:
    """Return the strokes of drawn digits, as page/strokes.js takes them, and their labels, `[count]`.

    Each of the ten is drawn as often as the others.
    """
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    return [_drawn(SHAPES[label], random) for label in labels.tolist()], labels


def _drawn(shape: list[list[Part]], random: Generator) -> list[dict[str, Any]]:
    """Return a digit as somebody draws it: slanted, narrow or wide, not in the middle, not exact."""
    height = SIDE * random.uniform(0.5, 0.75)
    turn, slant = np.deg2rad(random.normal(0, 4)), random.normal(0.1, 0.1)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    change = turned @ [[1, -slant], [0, 1]] * (height * random.uniform(0.6, 0.9), height)
    middle = SIDE / 2 + random.uniform(-0.08, 0.08, 2) * SIDE
    width = height * random.uniform(0.08, 0.16)
    strokes = []
    for parts in shape:
        points = np.concatenate([_along(np.array(part), random) for part in _moved(parts, random)])
        placed = middle + (points - 0.5) @ change.T
        strokes.append({"width": width, "points": np.clip(placed, 0, SIDE).round(1).tolist()})
    return strokes


def _moved(parts: list[Part], random: Generator) -> list[Part]:
    """Return the parts of a stroke with each point moved a little; where they meet, they still do."""
    points: dict[tuple[float, float], tuple[float, float]] = {}
    for point in itertools.chain.from_iterable(parts):
        x, y = np.add(point, random.normal(0, 0.02, 2)).tolist()
        points.setdefault(point, (x, y))
    return [[points[point] for point in part] for part in parts]


def _along(points: NDArray[np.float64], random: Generator) -> NDArray[np.float64]:
    """Return points along a line or a curve, as a pointer gives them."""
    distances = np.hypot(*np.diff(points, axis=0).T)
    at = np.concatenate([[0], np.cumsum(distances)])
    steps = np.linspace(0, at[-1], 2 + int(at[-1] / random.uniform(0.03, 0.06)))
    if len(points) == 2:
        return points[0] + np.outer(steps / at[-1], points[1] - points[0])
    curve: NDArray[np.float64] = CubicSpline(at, points)(steps)
    return curve
