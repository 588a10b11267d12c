"""Each kind of incident has its runbook, and each runbook says the four things that somebody at night needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.case import INCIDENT_KINDS, CaseKind
from domain.incident import runbook_of

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("kind", sorted(INCIDENT_KINDS))
def test_every_kind_has_its_runbook(kind: CaseKind) -> None:
    text = (ROOT / runbook_of(kind)).read_text(encoding="utf-8")
    for part in ("**What it means.**", "**What is stopped.**", "**What to check**", "**How it ends.**"):
        assert part in text
