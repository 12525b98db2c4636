"""The tests with other versions, and what else needs an environment of its own: `nox --session NAME`."""

from pathlib import Path

import nox

nox.options.sessions = ["lowest", "newest"]
LOWEST = ("tensorflow==2.18.*", "keras==3.15.*")
"""What `pyproject.toml` allows, and pip then takes with it: NumPy 2.0, TensorBoard 2.18."""


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions."""
    session.install("-e", ".[test]", *LOWEST)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def newest(session: nox.Session) -> None:
    """Run the tests with the newest versions."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def distribution(session: nox.Session) -> None:
    """Build the wheel and the source archive, check them, and train with the wheel outside of here."""
    session.install("build", "twine")
    folder = Path(session.create_tmp())
    session.run("python", "-m", "build", "--outdir", str(folder / "dist"))
    built = list(map(str, (folder / "dist").iterdir()))
    session.run("python", "-m", "twine", "check", "--strict", *built)
    session.install(*(path for path in built if path.endswith(".whl")))
    session.chdir(folder)
    session.run("kerasmlp", "train", "--data", "mnist5k", "--name", "mine", "--resume")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site."""
    session.install("-e", ".[docs]")
    session.run("mkdocs", "build", "--strict")
