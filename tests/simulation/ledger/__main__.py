"""`python -m tests.simulation.ledger --seed N --steps M`: run one storm again, exactly."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.ledger.run import simulate


def main() -> int:
    parser = argparse.ArgumentParser(description="Run one storm; the same seed and steps give the same hash.")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    arguments = parser.parse_args()
    run = simulate(arguments.seed, steps=arguments.steps, listen=print if arguments.trace else None)
    print(
        f"seed {run.seed}: {run.acknowledged} acknowledged, {run.refused} refused, {run.applied} applied, {run.crashes} crashes"
    )
    print(" ".join(f"{code}={count}" for code, count in sorted(run.codes.items())))
    for breach in run.breaches:
        print(f"BREACH {breach}")
    print(run.digest)
    return 1 if run.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
