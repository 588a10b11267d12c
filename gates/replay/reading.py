"""Recorded decisions, one after the other: the row, and what the log says of it. Read-only; role auditor or gate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from psycopg import Connection
from psycopg.rows import dict_row
from pydantic import ValidationError

from domain.decision import Decision
from domain.errors import SetupError
from gates.decision_store import read_decision_row
from gates.policy.bundle import InvalidBundle, PolicyBundle, load_bundle_content
from gates.score.model import ScoreModel, parse_model
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parents[1] / "sql" / "replay.sql")
_BATCH = 500


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """Hold a decision as it was stored, and the data of the event that the log holds of it.

    `decision` is None for a row that cannot be read any more; `problem` says why.
    """

    decision_id: str
    decision: Decision | None
    logged: Mapping[str, Any] | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """Hold which decisions: [since, until) by the time of the decision; `limit` takes the newest ones of it, oldest first."""

    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None


def iter_decisions(connection: Connection[Any], window: Window) -> Iterator[RecordedDecision]:
    """Yield the tenant's decisions, the oldest first, some hundred at a time. In the caller's transaction."""
    parameters = {"since": window.since, "until": window.until, "limit": window.limit}
    with connection.cursor(name=f"replay_{uuid4().hex}", row_factory=dict_row) as cursor:
        cursor.itersize = _BATCH
        for row in cursor.execute(_QUERIES["list_recorded_decisions"], parameters):
            yield _read(row)


def count_decisions(connection: Connection[Any], window: Window) -> int:
    """Return how many decisions the window holds, for progress."""
    parameters = {"since": window.since, "until": window.until, "limit": window.limit}
    row = connection.execute(_QUERIES["count_recorded_decisions"], parameters).fetchone()
    return 0 if row is None else int(row[0])


def load_bundles(connection: Connection[Any]) -> tuple[dict[str, PolicyBundle], dict[str, str]]:
    """Return every stored bundle by its address, and why others cannot be used."""
    bundles: dict[str, PolicyBundle] = {}
    broken: dict[str, str] = {}
    for sha256, content in connection.execute(_QUERIES["list_bundles"]):
        try:
            bundles[sha256] = load_bundle_content(content, expected_sha256=sha256)
        except InvalidBundle as error:
            broken[sha256] = error.message
    return bundles, broken


def load_models(connection: Connection[Any]) -> dict[str, ScoreModel]:
    """Return every model that ever scored here, by its reference; one whose content is not its reference's is left out."""
    models: dict[str, ScoreModel] = {}
    for ref, content in connection.execute(_QUERIES["list_score_cards"]):
        try:
            model = parse_model(content, source=ref)
        except SetupError:
            continue
        if model.ref == ref:
            models[ref] = model
    return models


def _read(row: Mapping[str, Any]) -> RecordedDecision:
    logged = row["logged"]
    try:
        decision = read_decision_row(row).decision
    except ValidationError as error:
        places = sorted({".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False, include_url=False)})
        return RecordedDecision(row["decision_id"], None, logged, problem=f"its row cannot be read: {', '.join(places)}")
    return RecordedDecision(row["decision_id"], decision, logged)


def plain(decision: Decision) -> dict[str, Any]:
    """Return a decision as JSON values, in which two decisions are compared."""
    values: dict[str, Any] = json.loads(decision.model_dump_json())
    return values
