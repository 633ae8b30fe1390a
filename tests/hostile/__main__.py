"""``python -m tests.hostile``: run the corpus, print a table of counts by kind, and every fault."""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict

from .run import Outcome, corpus, run_all


def main() -> int:
    """0 when every case did what it must."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", action="append", help="only this kind; may be repeated")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--command", action="store_true", help="start the real command for every case (slower)")
    parser.add_argument("--show", action="store_true", help="print what each case said")
    options = parser.parse_args()
    cases = [case for case in corpus() if options.kind is None or case.kind in options.kind]
    outcomes = []
    for outcome in run_all(cases, options.workers, options.command):
        outcomes.append(outcome)
        faults = outcome.faults()
        if faults or options.show:
            said = outcome.said if options.show else outcome.said[:600]
            print(f"[{outcome.case.kind}] {outcome.case.name}: {', '.join(faults) or 'ok'}\n{said}", flush=True)
    return report(outcomes)


def report(outcomes: list[Outcome]) -> int:
    """Print the table; 1 when there is a fault."""
    by_kind: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_kind[outcome.case.kind].append(outcome)
    print(f"{'kind':20} {'cases':>5} {'right':>5} {'max s':>6} {'max MB':>6}  exit statuses")
    for kind, found in [*by_kind.items(), ("all", outcomes)]:
        statuses = ", ".join(f"{status}: {n}" for status, n in sorted(Counter(o.status for o in found).items()))
        print(
            f"{kind:20} {len(found):5} {sum(not o.faults() for o in found):5} "
            f"{max(min(o.wall, o.busy) for o in found):6.2f} {max(o.memory for o in found) / 1e6:6.0f}  {statuses}"
        )
    return int(any(o.faults() for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
