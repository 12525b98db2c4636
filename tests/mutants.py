"""Do the tests notice faults? One-line faults are put into the source, one at a time, and the tests run.

    pip install -e ".[mutants]"
    python tests/mutants.py --number 400

Cosmic Ray makes the faults, in copies of the last commit. A seed draws them, as many in each package.
The default tests that run a fault's line are called, those of its package first, the shortest first,
until one fails. `python tests/mutants.py --again` tries the faults again that no test has noticed.
"""

import ast
import concurrent.futures
import contextlib
import dataclasses
import difflib
import importlib
import itertools
import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import cosmic_ray.plugins
import coverage
import parso.python.tree
import pytest
import tyro
from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import MutationVisitor, use_mutation
from cosmic_ray.operators.operator import Example, Operator
from rich.progress import track

ROOT = Path(__file__).parents[1]
SOURCE = Path("src/kerasmlp")
PACKAGES = (
    *("loops", "data", "checkpoints", "callbacks", "comparison", "distribute", "runs"),
    *("tensorboard", "exporting", "models", "photos"),
)


NEEDLESS = (
    *("frozen", "strict", "encoding", "daemon", "missing_ok", "cancel_futures"),
    *("autograph", "flush", "reduce_retracing", "stacklevel"),
)
"""Keyword arguments that change no result on Linux, but how long it takes or what may be changed."""
UNNOTICED = re.compile(
    rf"\b({'|'.join(NEEDLESS)})=(True|False)|(^|[(,])\s*\*,|if TYPE_CHECKING|@without_autograph"
)
"""Lines in which a number, a condition, the `*` of a signature or a decorator is not changed."""
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+::.*?)(?: - .*)?$", re.MULTILINE)
"""The line in which pytest names a test that fails."""


class RemoveStatement(Operator):
    """Leaves out a call whose value is not used, a `raise`, a `del` or an assignment such as `+=`."""

    def mutation_positions(self, node):
        if node.type == "simple_stmt" and _can_be_left_out(node.children[0]):
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        first = node.children[0]
        node.children[0] = parso.python.tree.Keyword(
            "pass", first.start_pos, first.get_first_leaf().prefix
        )
        return node

    @classmethod
    def examples(cls):
        return (Example("f()", "pass"),)


def _can_be_left_out(node):
    called = node.type == "atom_expr" and node.children[-1].get_first_leaf().value == "("
    changed = node.type == "expr_stmt" and node.children[1].type == "operator"
    changed = changed and node.children[1].value != "="
    return called or changed or node.type in ("raise_stmt", "del_stmt")


class RemoveKeyword(Operator):
    """Leaves out a keyword argument of a call."""

    def mutation_positions(self, node):
        if (
            node.type == "argument"
            and node.children[1] == "="
            and node.children[0].value not in NEEDLESS
        ):
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        return parso.python.tree.Name("**{}", node.start_pos, node.get_first_leaf().prefix)

    @classmethod
    def examples(cls):
        return (Example("f(x=1)", "f(**{})"),)


cosmic_ray.plugins.OPERATOR_PROVIDERS["own"] = {
    "RemoveStatement": RemoveStatement,
    "RemoveKeyword": RemoveKeyword,
}
OPERATORS = (
    *("own/RemoveStatement", "own/RemoveKeyword"),
    "core/NumberReplacer",
    *(f"core/Replace{names}" for names in ("TrueWithFalse", "FalseWithTrue", "AndWithOr", "OrWithAnd")),
    *("core/AddNot", "core/ReplaceUnaryOperator_Delete_Not", "core/ReplaceUnaryOperator_Delete_USub"),
    *("core/RemoveDecorator", "core/ZeroIterationForLoop"),
    *("core/ReplaceBreakWithContinue", "core/ReplaceContinueWithBreak"),
    *(
        f"core/ReplaceBinaryOperator_{names}"
        for names in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul")
    ),
    *(
        f"core/ReplaceComparisonOperator_{names}"
        for names in (
            "Eq_NotEq",
            "NotEq_Eq",
            "Lt_LtE",
            "LtE_Lt",
            "Gt_GtE",
            "GtE_Gt",
            "Is_IsNot",
            "IsNot_Is",
        )
    ),
)
"""Faults that one may make. What fails at once, such as a shift of a tensor, is not among them."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A fault, and what came of it."""

    package: str
    module: str
    line: int
    operator: str
    occurrence: int
    noticed: bool | None = None
    diff: str = ""
    output: str = ""
    """What pytest printed at the end."""

    @property
    def place(self) -> tuple[str, str, int]:
        return self.module, self.operator, self.occurrence


def draw(number: int, seed: int) -> list[Mutant]:
    """Return `number` mutants, as many of each package. Each place is as likely as any other."""
    chance = random.Random(seed)
    drawn = []
    for index, package in enumerate(PACKAGES):
        places = defaultdict(list)
        for mutant in _all(package):
            places[mutant.module, mutant.line, mutant.operator].append(mutant)
        shuffled = chance.sample(sorted(places), len(places))
        compiled = filter(_compiles, (chance.choice(places[place]) for place in shuffled))
        drawn += itertools.islice(compiled, number // len(PACKAGES) + (index < number % len(PACKAGES)))
    return drawn


def _compiles(mutant: Mutant) -> bool:
    operator = cosmic_ray.plugins.get_operator(mutant.operator)()
    source = (ROOT / mutant.module).read_text(encoding="utf-8")
    try:
        compile(MutationVisitor.mutate_code(source, operator, mutant.occurrence), mutant.module, "exec")
    except SyntaxError:  # of `*` and `**` in a call, which are no products and powers
        return False
    return True


def _all(package: str) -> Iterator[Mutant]:
    for path in sorted((ROOT / SOURCE / package).rglob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        nodes = list(ast_nodes(get_ast_from_path(path)))
        for name in OPERATORS:
            operator = cosmic_ray.plugins.get_operator(name)()
            positions = (start for node in nodes for start, _ in operator.mutation_positions(node))
            for occurrence, (line, _) in enumerate(positions):
                if name.startswith("core/") and UNNOTICED.search(lines[line - 1]):
                    continue
                yield Mutant(package, str(path.relative_to(ROOT)), line, name, occurrence)


@dataclasses.dataclass(frozen=True)
class Suite:
    """The default tests: how long each takes, in s, and which lines of which module it runs."""

    seconds: dict[str, float]
    tests_of_lines: dict[str, dict[str, list[str]]]

    def tests(self, mutant: Mutant, most: float) -> list[str]:
        """Return the tests to call for a mutant: those that run its line, and others of its package.

        They take `most` seconds, or a little less.
        """
        lines = self.tests_of_lines.get(mutant.module, {})
        own = f"tests/{mutant.package}/"
        near = lines_near(ROOT / mutant.module, mutant.line)
        run = next((str(line) for line in near if lines.get(str(line))), "")
        on_line = set(lines.get(run, ()))
        in_module = {test for tests in lines.values() for test in tests if test.startswith(own)}
        in_package = {test for test in self.seconds if test.startswith(own)}

        def place(test: str) -> tuple[bool, bool, bool, float]:
            return (
                test not in on_line,
                not test.startswith(own),
                test not in in_module,
                self.seconds[test],
            )

        ordered = sorted((on_line | in_package) & self.seconds.keys(), key=place)
        spent = itertools.accumulate(self.seconds[test] for test in ordered)
        return [test for test, until in zip(ordered, spent, strict=True) if until <= most] or ordered[:1]


def lines_near(module: Path, line: int) -> range:
    """Return the lines of a function by which the tests of a line are known, the best one first.

    A statement is known by its first line; a signature, which runs at the import, by the function's
    first line. What is outside of functions has none.
    """
    functions = [
        node
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    if not functions:
        return range(0)
    function = max(functions, key=lambda node: node.lineno)
    first = function.body[0].lineno
    if line < first:
        return range(first, (function.end_lineno or first) + 1)
    return range(line, first - 1, -1)


def measure(copy: Path) -> Suite:
    """Run the default tests of a copy; return what each runs."""
    flags = "-q --cov --cov-context=test --cov-report= --junitxml=tests.xml -o junit_family=xunit1"
    subprocess.run(_pytest(flags.split()), cwd=copy, env=_environment(copy), check=False)
    return read(copy)


def read(copy: Path) -> Suite:
    data = coverage.CoverageData(str(copy / ".coverage"))
    data.read()
    lines = {}
    for path in map(Path, data.measured_files()):
        if path.is_relative_to(copy):  # and not what is installed, which a test may start
            contexts = data.contexts_by_lineno(str(path))
            lines[str(path.relative_to(copy))] = {
                str(line): sorted({name.partition("|")[0] for name in names if name})
                for line, names in contexts.items()
            }
    seconds = {}
    for case in ElementTree.parse(copy / "tests.xml").iter("testcase"):
        if not len(case):  # it was neither skipped nor, as some that measure, failed while it was traced
            seconds[f"{case.get('file')}::{case.get('name')}"] = float(case.get("time"))
    return Suite(seconds, lines)


def _pytest(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


def _environment(copy: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(copy / "src")}


@contextlib.contextmanager
def copied() -> Iterator[Path]:
    """A copy of the last commit, with what Python compiles of it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder).resolve() / "copy"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
        yield copy


def start(copies: "multiprocessing.Queue[Path]") -> None:
    """Take a copy for this process, and import what most tests do, but nothing of the copy."""
    copy = copies.get()
    os.environ |= _environment(copy) | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_XLA_FLAGS": ""}
    os.chdir(copy)
    sys.path.insert(0, str(copy / "src"))
    subprocess.run(_pytest(["-q", "-n", "0", "--collect-only"]), stdout=subprocess.DEVNULL, check=True)
    for module in ("keras", "matplotlib.pyplot", "skimage.filters", "sklearn.metrics"):
        importlib.import_module(module)
    status, output = _tested(["tests/test_imports.py", "tests/loops/test_step.py"], 600)
    if status:
        raise RuntimeError(f"the tests fail without a fault:\n{output}")


def attempt(mutant: Mutant, tests: Sequence[str], seconds: float) -> Mutant:
    """Put the fault into the copy of this process, and call the tests in a fork."""
    operator = cosmic_ray.plugins.get_operator(mutant.operator)()
    with use_mutation(Path(mutant.module), operator, mutant.occurrence) as (before, after):
        status, output = _tested(tests, 120 + 5 * seconds)
    diff = "\n".join(_changed(before, after))
    return dataclasses.replace(mutant, noticed=status != 0, diff=diff, output=output)


def _tested(tests: Sequence[str], seconds: float) -> tuple[int, str]:
    """Call tests in a fork; return its exit status and the end of what it prints."""
    with tempfile.TemporaryFile("w+") as printed:
        process = multiprocessing.get_context("fork").Process(
            target=_call, args=[tests, printed.fileno()]
        )
        process.start()
        process.join(seconds)  # a fault may be a loop without end
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
        printed.seek(0)
        return process.exitcode, printed.read()[-1500:]


def _call(tests: Sequence[str], output: int) -> None:
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    quick = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--tb=line"]
    status = pytest.main([*quick, "--hypothesis-profile", "unshrunk", *tests])
    sys.stdout.flush()
    os._exit(int(status))


def _changed(before: str, after: str) -> Iterator[str]:
    """Yield the lines that are other ones in a diff."""
    for line in difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0):
        if not line.startswith(("---", "+++", "@@")):
            yield line


def attempt_all(mutants: Sequence[Mutant], suite: Suite, flags: "Flags") -> Iterator[Mutant]:
    with contextlib.ExitStack() as stack:
        copies = multiprocessing.Queue()
        for _ in range(flags.jobs):
            copies.put(stack.enter_context(copied()))
        pool = stack.enter_context(
            concurrent.futures.ProcessPoolExecutor(flags.jobs, initializer=start, initargs=[copies])
        )
        futures = []
        for mutant in mutants:
            tests = suite.tests(mutant, flags.seconds)
            futures.append(pool.submit(attempt, mutant, tests, sum(map(suite.seconds.get, tests))))
        for future in concurrent.futures.as_completed(futures):
            yield future.result()


def idle(mutants: Iterable[Mutant], suite: Suite) -> list[str]:
    """Return the tests that were never the first to fail, and how long each takes, the longest first."""
    first = {name for mutant in mutants for name in FAILED.findall(mutant.output)}
    left = sorted(suite.seconds.keys() - first, key=suite.seconds.__getitem__, reverse=True)
    return [f"{suite.seconds[test]:5.1f} s {test}" for test in left]


def table(mutants: Iterable[Mutant]) -> str:
    """Return the table of the documentation."""
    rows = ["| package | faults | noticed | |", "| --- | ---: | ---: | ---: |"]
    counted = {package: [m.noticed for m in mutants if m.package == package] for package in PACKAGES}
    counted["all"] = [m.noticed for m in mutants]
    for package, noticed in counted.items():
        share = f"{sum(noticed) / len(noticed):.0%}" if noticed else ""
        rows.append(f"| {package} | {len(noticed)} | {sum(noticed)} | {share} |")
    return "\n".join(rows)


@dataclasses.dataclass(frozen=True)
class Flags:
    """Put faults into the source, one at a time, and see whether the tests notice."""

    number: int = 400
    """How many faults to draw."""
    seed: int = 0
    """The seed of the draw."""
    jobs: int = 2
    """How many faults are tried at a time."""
    seconds: float = 20.0
    """How long the tests of one fault take at most, by what they took when all ran."""
    idle: int = 0
    """How many to print of the longest tests that were the first to notice none of the faults."""
    again: bool = False
    """Try those again that no test has noticed."""
    output: Path = Path("mutants")
    """The folder of the results: `suite.json`, what each test runs, and `results.json`. Remove it when
    the source or the tests have changed."""


def main(flags: Flags) -> None:
    flags.output.mkdir(parents=True, exist_ok=True)
    suite = _suite(flags.output / "suite.json")
    results = flags.output / "results.json"
    done = {}
    if results.exists():
        done = {
            mutant.place: mutant
            for mutant in (Mutant(**each) for each in json.loads(results.read_text()))
        }
    drawn = draw(flags.number, flags.seed)
    tried = [
        mutant
        for mutant in drawn
        if mutant.place not in done or (flags.again and not done[mutant.place].noticed)
    ]
    for mutant in track(attempt_all(tried, suite, flags), "faults", len(tried)):
        done[mutant.place] = mutant
        results.write_text(json.dumps([dataclasses.asdict(each) for each in done.values()], indent=1))
    for mutant in done.values():
        if not mutant.noticed:
            print(f"{mutant.module}:{mutant.line}\n{mutant.diff}\n")
    if flags.idle:
        print(*idle(done.values(), suite)[: flags.idle], sep="\n")
    print(table(list(done.values())))


def _suite(path: Path) -> Suite:
    if not path.exists():
        with copied() as copy:
            path.write_text(json.dumps(dataclasses.asdict(measure(copy))))
    return Suite(**json.loads(path.read_text()))


if __name__ == "__main__":
    main(tyro.cli(Flags))
