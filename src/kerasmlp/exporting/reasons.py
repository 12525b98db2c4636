"""Why a format cannot hold a model, in one line of what the converters and the runtimes say."""

import re

LONGEST = 400
"""A longer reason is cut."""


class FormatError(ValueError):
    """A format cannot hold a model, or its runtime cannot run it."""

    def __init__(self, format: str, said: str) -> None:
        super().__init__(f"{format}: this format cannot hold the model: {reason(said)}")


def reason(said: str) -> str:
    """Return the reason in a message of Keras, TensorFlow, tf2onnx or a runtime."""
    lacking = re.findall(r"'tf\.(\w+)' op is neither a custom op|No Op registered for (\w+)", said)
    if lacking:
        names = dict.fromkeys(one or other for one, other in lacking)
        return f"it has no operation {', '.join(names)}"
    bold = re.search(r"\x1b\[1m(.+?)\x1b\[0m", said, re.DOTALL)  # so Keras shows the error in a layer
    errors = re.search(r"error: (?:loc\(.*\): )?(.+)", said)  # so do the converters of LiteRT
    found = bold or errors
    text = found[1] if found else said.partition("Full object config")[0]
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
