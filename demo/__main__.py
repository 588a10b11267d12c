"""`python -m demo --out DIR --seed N --as-of DATE`: write the demo tenant's files."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

from demo.generator import DEFAULT_SEED, generate
from demo.writing import write_dataset


def main(arguments: list[str] | None = None) -> int:
    """Generate and write; say on stderr what was written and how long it took."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="Write the demo tenant's records, all invented.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the JSONL files and scenarios.json")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument(
        "--as-of", type=date.fromisoformat, default=None, help="the day after the last record; default today (UTC)"
    )
    options = parser.parse_args(arguments)
    as_of = options.as_of or datetime.now(UTC).date()
    started = time.perf_counter()
    dataset = generate(seed=options.seed, as_of=as_of)
    try:
        write_dataset(dataset, options.out)
    except OSError as error:
        sys.stderr.write(f"cannot write to {options.out}: {error.strerror}\n")
        return 1
    rows = sum(dataset.manifest["counts"].values())
    sys.stderr.write(f"{rows} records as of {as_of} in {options.out}, {time.perf_counter() - started:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
