"""List the commands: `python -m kerasmlp`."""

import importlib
import sys

COMMANDS = ("train", "seeds", "launch", "compare", "evaluate", "predict", "export")


def main() -> int:
    """Print each command, and what it does."""
    print("One Keras model, trained by three loops over the same batches.\n")
    for name in COMMANDS:
        purpose = importlib.import_module(f"kerasmlp.{name}").__doc__ or ""
        print(f"  python -m kerasmlp.{name:10} {purpose.splitlines()[0]}")
    print("\nEach command explains its flags with --help.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
