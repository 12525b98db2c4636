"""The corpus: training programs, right ones and such with one mistake; and what is said of them.

`python tests/comparison/corpus.py` prints the table that the README shows.
"""

import argparse
import contextlib
import os
import sys
from collections import Counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import kinds
from case import Case
from kerasmlp.comparison.start import start_from
from kerasmlp.comparison.trajectory import check_loop
from kerasmlp.comparison.verdict import Outcome, judge
from kerasmlp.loops import traced

SEED = 5


def outcome_of(case: Case) -> Outcome:
    """Compare the program of a case with Keras' own steps, in this process."""
    data = kinds.data_of(case.make_model) if case.data is None else case.data
    options = {"batch_size": kinds.BATCH_SIZE, **case.options}
    try:
        with start_from(case.make_model, data, options.pop("batch_size"), SEED, **options) as start:
            loop = traced(case.loop) if case.is_step else case.loop
            model, reference = start.new_model(), start.new_model()
            found = check_loop(loop, model, reference, start, case.epochs)
    except Exception as error:  # a row of a comparison fails like this
        return judge("it", f"{type(error).__name__}: {error}", None)
    return judge("it", found, None)


def problem(case: Case, outcome: Outcome) -> str | None:
    """Return what is wrong with the outcome of a case; None if it is right."""
    divergence = outcome.trajectory.divergence if outcome.trajectory else None
    expected = case.verdicts or (("diverges",) if case.cause else ("identical", "equal"))
    if outcome.verdict not in expected:
        return f"expected {' or '.join(expected)}"
    if case.step and outcome.verdict == "diverges" and divergence.step != case.step:
        return f"expected step {case.step}"
    if outcome.verdict == "diverges" and case.cause and case.cause not in str(divergence):
        return f"expected the cause: {case.cause}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of the name of a program")
    parser.add_argument("--verbose", action="store_true", help="print each program")
    arguments = parser.parse_args()
    from mistakes import MISTAKES
    from programs import PROGRAMS

    wrong = 0
    counts: dict[str, Counter[str]] = {}
    for what, cases in (("right programs", PROGRAMS), ("programs with a mistake", MISTAKES)):
        found = counts[what] = Counter()
        for name, case in cases.items():
            if arguments.only not in name:
                continue
            with contextlib.redirect_stdout(sys.stderr):  # some programs print
                outcome = outcome_of(case)
            unexpected = problem(case, outcome)
            wrong += unexpected is not None
            found["programs"] += 1
            found["agree" if outcome.verdict in ("identical", "equal") else outcome.verdict] += 1
            if outcome.verdict == "diverges" and "cause: unknown" not in str(outcome.reason):
                found["cause named"] += 1
                found["false cause"] += unexpected is not None
            if unexpected or arguments.verbose:
                print(f"{name}: {outcome.verdict}. {' '.join((outcome.reason or '').split())}")
            if unexpected:
                print(f"    {unexpected}", flush=True)
    columns = ("programs", "agree", "diverges", "undecided", "failed", "cause named", "false cause")
    print(f"|  | {' | '.join(columns)} |")
    print(f"| --- |{' ---: |' * len(columns)}")
    for what, found in counts.items():
        print(f"| {what} | {' | '.join(str(found[column]) for column in columns)} |")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
