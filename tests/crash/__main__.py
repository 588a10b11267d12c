"""`python -m tests.crash --rounds 200 --seed 1 --json`: the storm as a command. Exits 1 when a promise was broken."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys

from bench.crash.planted import FAULTS
from bench.crash.rounds import print_line, run_rounds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", choices=FAULTS, help="break the ledger on purpose; ends when the harness has found it")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: at least 1")
    # Connections are lost on purpose here.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    # Whoever ends it early gets no stray server, worker or folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report = run_rounds(arguments.rounds, arguments.seed, fault=arguments.fault, say=print_line)
    shown = report.to_json() if arguments.json else {key: value for key, value in report.to_json().items() if key != "log"}
    print(json.dumps(shown, indent=2))
    return 1 if report.violation_count else 0


if __name__ == "__main__":
    sys.exit(main())
