"""Plant each fault in turn: `python -m tests.mutation.ledger [NAME …]`. Exits with 1 when one survives, 2 when it cannot say."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tests.conftest import make_server, make_template
from tests.mutation.ledger.faults import FAULTS, Fault
from tests.mutation.ledger.planting import BY_NAME
from tests.mutation.ledger.running import run_fault, run_tests


def main(names: list[str]) -> int:
    """Run them and print a line each."""
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        print(f"no such fault: {', '.join(unknown)}", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="tg-mut-"))
    server = make_server(folder)
    server.start()
    try:
        make_template(server, folder / "secrets")
        return _plant_all(folder, [BY_NAME[name] for name in names] or list(FAULTS))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _plant_all(folder: Path, faults: list[Fault]) -> int:
    noticed = survived = 0
    for tests in dict.fromkeys(fault.tests for fault in faults):
        sound = run_tests(folder, tests)
        print(f"{'green' if sound.status == 0 else 'RED':8} {'without a fault':36} {sound.red or tests}", flush=True)
        if sound.status != 0:
            print(sound.log)
            continue
        for fault in [fault for fault in faults if fault.tests == tests]:
            outcome = run_fault(folder, fault)
            noticed, survived = noticed + outcome.is_noticed, survived + (not outcome.is_noticed)
            print(f"{'noticed' if outcome.is_noticed else 'SURVIVED':8} {fault.name:36} {outcome.red}", flush=True)
            if outcome.status not in (0, 1):
                print(outcome.log)
    print(f"{noticed} of {len(faults)} faults noticed, {survived} survived")
    return 1 if survived else 0 if noticed == len(faults) else 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
