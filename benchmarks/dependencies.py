"""What each dependency of the package costs, on the disk and at the start of a command.

    python -m benchmarks.dependencies

Run it where the package is installed without an extra. It prints a table in Markdown: the megabytes of a
dependency; the megabytes that would go if it were none, with what nothing else needs; the milliseconds
of its import by `kerasmlp train --help`. Below it, the sums, and the slowest imports.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import distribution, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = "kerasmlp"
HELP = (sys.executable, "-X", "importtime", "-m", PACKAGE, "train", "--help")
REPEATS = 9
SLOWEST = 10


def needed(package: str) -> Iterator[str]:
    """Yield the names of the packages that a package needs here, without its extras."""
    for requirement in map(Requirement, requires(package) or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


def reached(packages: Iterable[str]) -> set[str]:
    """Return the packages, and all that they need in turn."""
    found: set[str] = set()
    left = list(packages)
    while left:
        package = left.pop()
        if package not in found:
            found.add(package)
            left += needed(package)
    return found


def megabytes(packages: Iterable[str]) -> float:
    """Return the size of the files of the packages, as they are installed."""
    files = {str(file.locate()) for each in packages for file in distribution(each).files or ()}
    return sum(path.stat().st_size for path in map(Path, files) if path.exists()) / 1e6


def milliseconds() -> dict[str, float]:
    """Return the time of the import of each module, with what it imports; and of all, as `all`.

    The shortest of several: whatever else the machine does only adds to it.
    """
    pattern = re.compile(r"^import time: +(\d+) \| +(\d+) \| *(\S+)$", re.MULTILINE)
    seen: dict[str, list[int]] = {}
    for _ in range(REPEATS):
        lines = pattern.findall(subprocess.run(HELP, capture_output=True, text=True).stderr)
        for _, time, module in lines:
            seen.setdefault(module, []).append(int(time))
        seen.setdefault("all", []).append(sum(int(alone) for alone, _, _ in lines))
    return {module: min(times) / 1000 for module, times in seen.items()}


def main() -> None:
    """Print the tables."""
    direct, times = list(needed(PACKAGE)), milliseconds()
    everything = reached(direct)
    modules: dict[str, list[str]] = {}
    for module, packages in packages_distributions().items():
        for package in packages:
            modules.setdefault(canonicalize_name(package), []).append(module)
    print("| dependency | MB | MB that go with it | ms |\n| --- | --- | --- | --- |")
    for package in direct:
        goes = everything - reached(other for other in direct if other != package)
        time = sum(times.get(module, 0) for module in modules[package])
        shown = f"{time:.1f}" if time else "-"
        print(f"| {package} | {megabytes([package]):.1f} | {megabytes(goes):.1f} | {shown} |")
    print(f"\n{len(everything)} packages, {megabytes(everything):.0f} MB")
    print(f"all imports of the help: {times.pop('all'):.0f} ms; the slowest, with what they import:")
    for module, time in sorted(times.items(), key=lambda item: -item[1])[:SLOWEST]:
        print(f"  {time:6.1f} ms {module}")


if __name__ == "__main__":
    main()
