"""Notes on standard error about what TensorBoard does not show."""

import sys


def left_out(what: str, error: Exception) -> None:
    """Say that `what` is not shown, since computing it raised `error`."""
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    print(f"note: TensorBoard shows no {what} of this model: {reason:.200}", file=sys.stderr)
