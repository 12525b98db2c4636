"""What was found out about the data, said on standard error."""

import functools
import sys


@functools.cache
def note(line: str) -> None:
    """Print `note: line`, once in a process: the same data may be read for each of several runs."""
    print(f"note: {line}", file=sys.stderr)
