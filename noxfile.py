"""The tests with other versions, and what else needs an environment of its own: `nox --session NAME`.

`pip install "nox[uv]"` first: uv is what can install lowest versions.
"""

import shutil
from pathlib import Path

import nox

nox.options.sessions = ["lowest", "newest"]
RUNNER = ("pytest", "pytest-xdist", "hypothesis")
"""What the tests need to run where the extra `test`, which brings other extras, is not installed."""
EXTRAS = {
    "none": ["tests"],
    "export": ["tests/exporting", "tests/test_export.py"],
    "docs": ["tests/test_docs.py"],
    "profile": ["tests/callbacks/test_profile.py", "--thorough"],
}
"""The tests that an extra is for. Without any extra, tests that need one are skipped."""
OUTSIDE = ["tests/data", "tests/runs", "tests/exporting", "tests/test_cli.py", "tests/test_train.py"]
"""The tests of what is installed: commands, and files beside the code, such as stubs and the page."""


@nox.session(venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest version of each package that `pyproject.toml` names."""
    old = "setuptools==81.*"  # the last with pkg_resources, which TensorBoard needs before 2.21
    session.install("--resolution", "lowest-direct", "-e", ".[test]", old)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def newest(session: nox.Session) -> None:
    """Run the tests with the newest versions."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
@nox.parametrize("extra", list(EXTRAS), ids=list(EXTRAS))
def alone(session: nox.Session, extra: str) -> None:
    """Run the tests that an extra is for, with this extra and no other."""
    session.install("-e", "." if extra == "none" else f".[{extra}]", *RUNNER)
    session.run("python", "-m", "pytest", *(session.posargs or EXTRAS[extra]))


@nox.session
@nox.parametrize("archive", [".whl", ".tar.gz"], ids=["wheel", "source"])
def distribution(session: nox.Session, archive: str) -> None:
    """Build the wheel and the source archive, check them, install one and test it outside of here."""
    session.install("build", "twine", *RUNNER)
    folder = Path(session.create_tmp())
    session.run("python", "-m", "build", "--outdir", str(folder / "dist"))
    built = list(map(str, (folder / "dist").iterdir()))
    session.run("python", "-m", "twine", "check", "--strict", *built)
    session.install(*(path for path in built if path.endswith(archive)))
    shutil.copytree("tests", folder / "tests", dirs_exist_ok=True)
    shutil.copy("pyproject.toml", folder)  # how pytest is run
    session.chdir(folder)
    session.run("python", "-c", "import kerasmlp; assert 'site-packages' in kerasmlp.__file__")
    session.run("python", "-m", "pytest", *(session.posargs or OUTSIDE))
    session.run("kerasmlp", "train", "--data", "mnist5k", "--name", "mine", "--resume")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site."""
    session.install("-e", ".[docs]")
    session.run("mkdocs", "build", "--strict")
