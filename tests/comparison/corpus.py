"""The corpus: training programs, right ones and such with one mistake, and what the comparison says of them.

`python tests/comparison/corpus.py` prints the table that the README shows.
"""

import argparse
import collections
import dataclasses
import os
import sys
import time

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


@dataclasses.dataclass
class Tally:
    """What was found of the programs of a kind."""

    right: int = 0
    agree: int = 0
    mistakes: int = 0
    found: int = 0
    named: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="part of the name of a program")
    only = parser.parse_args().only or ""
    from mistakes import MISTAKES
    from programs import PROGRAMS

    wrong = False
    total: dict[str, float] = collections.Counter()
    for name, case in {**PROGRAMS, **MISTAKES}.items():
        if only not in name:
            continue
        begin = time.perf_counter()
        outcome = outcome_of(case)
        seconds = time.perf_counter() - begin
        divergence = outcome.trajectory and outcome.trajectory.divergence
        seen = outcome.trajectory.seen if outcome.trajectory else ""
        if case.cause is None:
            ok = outcome.verdict in (case.verdicts or ("identical", "equal"))
            total["right"] += 1
            total["right agree"] += ok
        else:
            ok = outcome.verdict in (case.verdicts or ("diverges",))
            named = ok and case.cause in str(divergence)
            total["mistakes"] += 1
            total["found"] += ok
            total["named"] += named
            if ok and case.step is not None and divergence and divergence.step != case.step:
                print(f"    STEP {divergence.step}, expected {case.step}")
            if ok and not named:
                print(f"    NOT NAMED, expected: {case.cause}")
        wrong = wrong or not ok
        print(f"{'ok ' if ok else 'BAD'} {name}: {outcome.verdict} ({seen}; {seconds:.1f} s) {outcome.reason or ''}"[:400], flush=True)
    print(dict(total))
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
