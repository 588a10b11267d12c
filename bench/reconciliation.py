"""How fast is a statement read, and how fast are ten thousand lines matched? CPU time, with no database."""

from __future__ import annotations

import io
import resource
import sys
import time
from collections.abc import Callable
from datetime import date

from bench.report import Figure, print_report
from ledger.reconciliation.csv_statement import read_csv_statement
from ledger.reconciliation.matching import Line, Movement, match_lines
from ledger.reconciliation.references import keys_of_id
from ledger.reconciliation.rules import RULES

_LINES = 10_000
_DAY = date(2026, 3, 2)


def main(arguments: list[str]) -> int:
    """Read, match, print."""
    content = _write_csv()
    named, nameless = _lines(is_named=True), _lines(is_named=False)
    movements = [
        Movement(f"tfr_{number:032x}", -100 - number, "EUR", _DAY, keys_of_id(f"tfr_{number:032x}")) for number in range(_LINES)
    ]
    figures = [
        Figure("csv_10k_lines_ms", _cpu_ms(lambda: read_csv_statement(io.BytesIO(content))), "ms"),
        Figure("match_10k_by_reference_ms", _cpu_ms(lambda: _match(named, movements)), "ms"),
        Figure("match_10k_by_amount_ms", _cpu_ms(lambda: _match(nameless, movements)), "ms"),
        Figure("memory_peak_mb", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "MB"),
    ]
    print_report("reconciliation", figures, as_json="--json" in arguments)
    return 0


def _write_csv() -> bytes:
    rows = (f"{_DAY},-{number + 1}.00,EUR,BANK-{number},tfr_{number:032x}\n" for number in range(_LINES))
    return ("booked_on,amount,currency,entry_reference,reference\n" + "".join(rows)).encode()


def _lines(*, is_named: bool) -> list[Line]:
    return [
        Line(f"stl_{number:032x}", -100 - number, "EUR", _DAY, (f"tfr_{number:032x}",) if is_named else ())
        for number in range(_LINES)
    ]


def _match(lines: list[Line], movements: list[Movement]) -> None:
    result = match_lines(lines, movements, batches={}, barred=frozenset(), rules=RULES)
    assert len(result.matches) == _LINES


def _cpu_ms(work: Callable[[], object]) -> int:
    times = []
    for _ in range(5):
        started_s = time.process_time()
        work()
        times.append(int((time.process_time() - started_s) * 1000))
    return sorted(times)[2]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
