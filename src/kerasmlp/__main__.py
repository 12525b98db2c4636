"""The command `kerasmlp`: lists the commands, and runs one of them. Imports no TensorFlow."""

import difflib
import importlib
import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path

COMMANDS = ("train", "list", "compare", "evaluate", "predict", "export", "seeds", "launch")

COMPLETION = ("--tyro-print-completion", "--tyro-write-completion")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `kerasmlp COMMAND FLAGS`, and return its exit status: 2 for a command that there is not."""
    name, *flags = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in COMMANDS:
        here = str(Path.cwd())
        if not sys.flags.safe_path and here not in sys.path:
            sys.path.insert(0, here)  # as `python -m` does: `--model mine:make` finds mine.py
        status: int = importlib.import_module(f"kerasmlp.{name}").main(flags)
        return status
    if name == "--version":
        packages = ("kerasmlp", "tensorflow", "keras", "numpy")
        print(", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages))
        return 0
    if name in ("--help", "-h"):
        print(_help())
        return 0
    if name in COMPLETION:
        import tyro

        kinds = {
            command: importlib.import_module(f"kerasmlp.{command}").Settings for command in COMMANDS
        }
        tyro.extras.subcommand_cli_from_dict(kinds, prog="kerasmlp", args=[name, *flags])
    near = difflib.get_close_matches(name, COMMANDS, 1)
    hint = f"did you mean {near[0]}?" if near else "kerasmlp --help lists them."
    print(f"error: expected one of {', '.join(COMMANDS)}; received {name}; {hint}", file=sys.stderr)
    return 2


def _help() -> str:
    """Return a list of the commands, and what each does."""
    lines = ["One Keras model, trained by three loops over the same batches.", ""]
    for name in COMMANDS:
        purpose = importlib.import_module(f"kerasmlp.{name}").__doc__ or ""
        lines.append(f"  kerasmlp {name:10} {purpose.splitlines()[0]}")
    lines += [
        "",
        "kerasmlp COMMAND --help explains the flags of a command. kerasmlp --version prints versions.",
    ]
    lines += ["Completion by the shell: kerasmlp --tyro-print-completion bash (or zsh, tcsh) prints it."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
