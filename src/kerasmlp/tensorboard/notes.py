"""Notes on standard error about what TensorBoard does not show."""

import re
import sys

COLOUR = re.compile("\x1b\\[[0-9;]*m")


def left_out(what: str, error: Exception) -> None:
    """Say that `what` is not shown, since computing it raised `error`."""
    lines = [line.strip() for line in COLOUR.sub("", str(error)).splitlines() if line.strip()]
    if lines and lines[0].startswith("Exception encountered"):  # by Keras, before the error's own text
        lines = lines[1:]
    reason = lines[0] if lines else type(error).__name__
    print(f"note: TensorBoard shows no {what} of this model: {reason:.200}", file=sys.stderr)
