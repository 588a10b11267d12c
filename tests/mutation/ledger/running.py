"""Run the small set of tests against a planted fault, and say which test noticed."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.ledger.faults import Fault

_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hold what came of a run: the first red test, or none. `log` is what pytest said."""

    status: int
    red: str
    log: str

    @property
    def is_noticed(self) -> bool:
        """Say whether a test went red, and not the run itself."""
        return self.status == 1 and bool(self.red)


def run_tests(folder: Path, tests: str, *, plant: str = "") -> Outcome:
    """Run these tests on the server in `folder`, up to the first red one."""
    command = [
        sys.executable, "-m", "pytest", *tests.split(), "-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist",
        "-p", "tests.mutation.ledger.planting", f"--plant={plant}", f"--cluster-folder={folder}",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    red = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return Outcome(done.returncode, red.group(1) if red else "", done.stdout + done.stderr)


def run_fault(folder: Path, fault: Fault) -> Outcome:
    """Run the tests that should notice this fault."""
    return run_tests(folder, fault.tests, plant=fault.name)
