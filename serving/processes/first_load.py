"""Load the demo tenant once, say what was loaded, end."""

from __future__ import annotations

import sys

from serving.launch import read_process_config
from serving.serve import SystemClock, run_process
from serving.wiring import load_first_data


def main() -> None:
    """Load and report on standard output."""
    report, articles = load_first_data(read_process_config("jobs"), SystemClock().now())
    if report.already_loaded:
        sys.stdout.write(f"already loaded; {articles} articles changed\n")
    else:
        took_s = (report.generate_ms + report.load_ms) / 1000
        sys.stdout.write(f"{report.rows} records up to {report.as_of} in {took_s:.0f} s; {articles} articles\n")


if __name__ == "__main__":
    run_process("first_load", main)
