"""Fields of a settings dataclass: their types and bounds, checked when the dataclass is made.

A bound stands beside the type: `epochs: Annotated[int, at_least(1)] = 5`. `check(self)` in
`__post_init__` checks all fields.
"""

import dataclasses
import math
import operator
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints


class SettingError(ValueError):
    """The value of a `setting` has a wrong type, or is out of its bounds."""

    def __init__(self, setting: str, expected: str, received: Any) -> None:
        super().__init__(f"{setting}: expected {expected}; received {received!r:.100}")
        self.setting, self.expected, self.received = setting, expected, received

    def __reduce__(self) -> tuple[Any, ...]:  # so that it can be sent to another process
        return type(self), (self.setting, self.expected, self.received)


@dataclasses.dataclass(frozen=True)
class Bound:
    """A condition that a value must meet, and the condition in words."""

    holds: Callable[[Any], bool]
    expected: str


def at_least(least: float) -> Bound:
    """Return the bound of numbers from `least` on."""
    return Bound(lambda value: least <= value < math.inf, f"at least {least}")


def between(least: float, most: float, unit: str = "a number") -> Bound:
    """Return the bound of numbers from `least` to `most`."""
    return Bound(lambda value: least <= value <= most, f"{unit} from {least:,} to {most:,}")


def auto_or(bound: Bound) -> Bound:
    """Return the bound of `auto` and of what `bound` allows."""
    return Bound(lambda value: value == "auto" or bound.holds(value), f"auto or {bound.expected}")


def none_or(bound: Bound) -> Bound:
    """Return the bound of None and of what `bound` allows."""
    return Bound(lambda value: value is None or bound.holds(value), f"None or {bound.expected}")


POSITIVE = Bound(lambda value: 0 < value < math.inf, "a positive number")
FRACTION = Bound(lambda value: 0 <= value < 1, "0 or a number below 1")
SEED = Bound(lambda value: 0 <= value < 2**31, "a number from 0 to 2147483647")


def require(settings: Any, condition: bool, setting: str, expected: str) -> None:
    """Raise a `SettingError` for one of `settings` unless `condition` holds."""
    if not condition:
        raise SettingError(setting, expected, getattr(settings, setting))


def check(settings: Any) -> None:
    """Check the type and the bounds of each field of a dataclass.

    A value of another type is converted where its meaning is clear: a string to a path, one number to a
    tuple of one, a list to a tuple, a NumPy integer to an `int`, an integer to a `float`.

    Raises:
        SettingError: a value has another type, or is out of its bounds.
    """
    hints = get_type_hints(type(settings), include_extras=True)
    for field in dataclasses.fields(settings):
        hint = hints[field.name]
        bounds = [extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Bound)]
        kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        received = getattr(settings, field.name)
        try:
            value = _converted(received, kind)
        except (TypeError, ValueError, OverflowError):
            raise SettingError(field.name, _in_words(kind), received) from None
        object.__setattr__(settings, field.name, value)
        for bound in bounds:
            require(settings, bound.holds(value), field.name, bound.expected)


def _converted(value: Any, kind: Any) -> Any:
    """Return `value` as one of the type `kind`; raise a `TypeError` if it is not clear how."""
    if get_origin(kind) in (UnionType, Union):
        for each in get_args(kind):
            try:
                return _converted(value, each)
            except TypeError:
                continue
    elif get_origin(kind) is Literal:
        if isinstance(value, str) and value in get_args(kind):
            return value
    elif get_origin(kind) is tuple:
        values = value if isinstance(value, list | tuple) else (value,)
        return tuple(_converted(each, get_args(kind)[0]) for each in values)
    elif kind is Path and isinstance(value, str | Path):
        return Path(value)
    elif kind is str and isinstance(value, Path):
        return str(value)
    elif kind is float and not isinstance(value, bool | str):
        return float(value)
    elif kind is int and not isinstance(value, bool):
        return operator.index(value)
    elif kind in (bool, str, type(None)) and isinstance(value, kind):
        return value
    raise TypeError


def _in_words(kind: Any) -> str:
    """Return what a value of the type `kind` is called."""
    if get_origin(kind) in (UnionType, Union):
        return " or ".join(_in_words(each) for each in get_args(kind))
    if get_origin(kind) is Literal:
        *others, last = get_args(kind)
        return f"{', '.join(others)} or {last}" if others else str(last)
    if get_origin(kind) is tuple:
        return f"{_in_words(get_args(kind)[0])}, one or several"
    names = {int: "a whole number", float: "a number", bool: "True or False", str: "a string"}
    return names.get(kind, "None" if kind is type(None) else "a path")
