"""How a command reads its flags: they are the fields of a dataclass. Imports no TensorFlow.

A dataclass may say how its help is grouped: a class variable `groups` has the names of fields by the
name of their group, in the order in which they are shown.
"""

import argparse
import contextlib
import dataclasses
import io
import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import docstring_parser
import tyro

Settings = TypeVar("Settings")


def parse(
    kind: type[Settings], module: str, argv: Sequence[str] | None, default: Settings | None = None
) -> Settings:
    """Return the settings that the flags `argv` give.

    Args:
        kind: the dataclass of the settings.
        module: the module that was called, for the help.
        argv: the flags. None for those of the process.
        default: the settings for flags that are not given. None for the defaults of the dataclass.

    Raises:
        ValueError: the flags are wrong. The message is one line.
        SystemExit: the help was asked for, and has been printed.
    """
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            given: Any = tyro.cli(
                _in_groups(kind, default),
                prog=f"python -m {module}",
                description=_description(kind),
                args=argv,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as exit:
        if not exit.code:
            raise
        raise ValueError(_one_line(errors.getvalue())) from None
    try:
        return kind(**_values(given, getattr(kind, "groups", {})))
    except ValueError as error:
        raise ValueError(message(error)) from None


def message(error: BaseException) -> str:
    """Return the message of an error. An attribute `setting` of it is called by its flag."""
    setting: str | None = getattr(error, "setting", None)
    message = str(error)
    return message if setting is None else f"--{setting.replace('_', '-')}{message[len(setting) :]}"


def peek(argv: Sequence[str] | None, **flags: Sequence[str] | None) -> dict[str, Any]:
    """Return which of `flags` are given in `argv`, with their values.

    For flags that decide the defaults of others, and so must be known before `parse`.

    Args:
        argv: the flags. None for those of the process.
        flags: the choices of each flag: None for any value, an empty list for a flag without a value. A
            flag with another value counts as not given.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for flag, choices in flags.items():
        valueless: dict[str, Any] = {} if choices or choices is None else {"action": "store_true"}
        parser.add_argument(f"--{flag}", default=None, **valueless)
    with contextlib.suppress(argparse.ArgumentError):
        given, _ = parser.parse_known_args(argv)
        return {
            flag: value
            for flag, value in vars(given).items()
            if value is not None and (value in (flags[flag] or (value,)))
        }
    return {}


def _description(kind: Any) -> str:
    """Return what a command does, in lines that the terminal has room for."""
    paragraphs = (docstring_parser.parse(kind.__doc__).description or "").split("\n\n")
    width = shutil.get_terminal_size().columns
    # tyro joins lines that are not indented.
    lines = (textwrap.fill(paragraph, width, subsequent_indent="  ") for paragraph in paragraphs)
    return "\n\n".join(lines)


def _in_groups(kind: Any, default: Any) -> type:
    """Return a dataclass with the fields of `kind`, those of a group in a dataclass of their own."""
    groups: Mapping[str, Sequence[str]] = getattr(kind, "groups", {})
    flags = _fields(kind, default)
    grouped = {name for names in groups.values() for name in names}
    fields = [flag for name, flag in flags.items() if name not in grouped]
    for group, names in groups.items():
        nested = dataclasses.make_dataclass(group, [flags[name] for name in names])
        fields.append((group, nested, dataclasses.field(default_factory=nested)))
    return dataclasses.make_dataclass(kind.__name__, fields)


def _fields(kind: Any, default: Any) -> dict[str, tuple[str, Any, Any]]:
    """Return the fields of `kind` as `dataclasses.make_dataclass` takes them, with help and default."""
    hints = get_type_hints(kind, include_extras=True)
    helps = {
        param.arg_name: " ".join((param.description or "").split())
        for each in kind.__mro__
        for param in docstring_parser.parse(each.__doc__ or "").params
    }
    flags = {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if default is not None:
            made = dataclasses.field(default=getattr(default, field.name))
        elif field.default_factory is not dataclasses.MISSING:
            made = dataclasses.field(default=field.default_factory())
        elif field.default is not dataclasses.MISSING:
            made = dataclasses.field(default=field.default)
        else:
            made = dataclasses.field()
        shown: dict[str, Any] = {"help": helps[field.name], "metavar": _metavar(hint)}
        if made.default in (None, ()):
            shown["help_behavior_hint"] = ""
        flags[field.name] = (field.name, Annotated[hint, tyro.conf.arg(**shown)], made)
    return flags


def _metavar(hint: Any) -> str | None:
    """Return what the value of a flag is called; None for what tyro calls it."""
    extras = getattr(hint, "__metadata__", ())
    own = [extra.metavar for extra in extras if getattr(extra, "metavar", None)]
    if own:
        return own[0]
    alternatives = get_args(get_args(hint)[0] if extras else hint)
    names = {str: "STR", int: "INT", float: "FLOAT", Path: "PATH"}
    found: list[str] = [
        "|".join(get_args(each)) if get_origin(each) is Literal else names.get(each, "")
        for each in alternatives
        if each is not type(None)
    ]
    is_union = type(None) in alternatives or any(get_origin(each) is Literal for each in alternatives)
    return "|".join(found) if is_union and all(found) else None


def _values(given: Any, groups: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all fields by name."""
    values = {field.name: getattr(given, field.name) for field in dataclasses.fields(given)}
    for group in groups:
        values |= _values(values.pop(group), {})
    return values


MESSAGES = {
    r"Unrecognized options: (--[\w-]+).* Perhaps you meant: (--[\w-]+(?:, --[\w-]+)*).*": (
        r"unknown flag \1; did you mean \2?"
    ),
    r"Unrecognized options: (--[\w-]+).*": r"unknown flag \1; --help lists all",
    r"Unrecognized options: (.*)": r"expected flags, as --help lists them; received \1",
    r"Error parsing (\S+): .*?('[^']*')\]? Argument helptext: \S+ (.*?) [A-Z][a-z].*": (
        r"\1: expected \3; received \2"
    ),
    r"invalid choice (\S+) for argument '(\S+?)'. Expected one of \((.*)\).*": (
        r"\2: expected one of \3; received \1"
    ),
    r"Missing value for argument '(\S+?)'.*": r"\1: expected a value; received none",
    r"Missing from .*?: (\S+) .*": r"\1: expected a value; received none",
    r"Error parsing (?:\w+: )?(.*)": r"\1",
}
"""What tyro says of wrong flags, and how it is said here. The first that matches is taken."""
KINDS = {"[INT [INT ...]]": "integers", "INT": "an integer", "FLOAT": "a number", "{None}|": ""}
"""What tyro calls the kinds of values, and what they are called here."""


def _one_line(box: str) -> str:
    """Return a message that tyro drew into a box, of Unicode or ASCII, as one line, without the end."""
    lines = [line.strip("│ ") for line in box.splitlines()]
    rules = [line.startswith(("╭", "╰", "─", "---")) for line in lines]
    begin = rules.index(True) if any(rules) else 0  # before it stands a title
    inside = zip(lines[begin:], rules[begin:], strict=True)
    message = " ".join(line for line, is_rule in inside if line and not is_rule)
    message = re.sub(r" For full helptext, .*", "", message)
    for pattern, template in MESSAGES.items():
        if found := re.fullmatch(pattern, message):
            told = found.expand(template)
            return re.sub("|".join(map(re.escape, KINDS)), lambda name: KINDS[name[0]], told)
    return message.partition(" Argument helptext:")[0]
