"""Run every rule over the checkout; exit 1 and print each breach."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.lint_rules.rules import RULES
from tools.lint_rules.source import read_sources


def main() -> int:
    """Return 1 if any rule is broken."""
    root = Path(__file__).resolve().parents[2]
    findings = sorted(finding for source in read_sources(root) for rule in RULES for finding in rule(source))
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
