"""What a run reads and writes: open lines, the transfers that may fit them, matches, and pairs taken apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from domain.errors import NotFound
from domain.ids import make_id, require_id, uuid_of
from ledger.reconciliation.matching import Line, Match, Movement
from ledger.reconciliation.references import is_own_id, keys_of_id
from ledger.reconciliation.rules import RuleSet
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "matching.sql")


class LineNotMatched(NotFound):
    """Say that a line has no live match, or does not exist."""

    code = "line_not_matched"


@dataclass(frozen=True, slots=True)
class OpenLine:
    """Hold an unmatched line with where it stood in its file."""

    line: Line
    line_number: int
    entry_reference: str | None
    statement_id: str


@dataclass(frozen=True, slots=True)
class UnmatchedMovement:
    """Hold a transfer of the account that no line is matched with."""

    transfer_id: UUID
    amount_minor: int
    currency: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class LiveMatch:
    """Hold a match that nobody took back."""

    match_id: str
    code: str
    transfer_ids: list[UUID]


def transfer_id_of(transfer_id: UUID) -> str:
    """Write the id of a transfer as it is written outside."""
    return f"tfr_{transfer_id.hex}"


def list_open_lines(connection: Connection[Any], code: str) -> list[OpenLine]:
    """Return the lines of an account that wait for a match."""
    rows = connection.execute(_QUERIES["list_open_lines"], {"code": code}).fetchall()
    return [
        OpenLine(
            line=Line(line_id, amount_minor, currency, booked_on, tuple(reference_keys)),
            line_number=line_number,
            entry_reference=entry_reference,
            statement_id=statement_id,
        )
        for line_id, amount_minor, currency, booked_on, reference_keys, line_number, entry_reference, statement_id in rows
    ]


def list_named_batches(connection: Connection[Any], lines: Iterable[Line]) -> dict[str, frozenset[str]]:
    """Return reference key -> references of its members, for the settlement batches that the lines name."""
    keys = sorted({key for line in lines for key in line.reference_keys if not is_own_id(key)})
    members: dict[str, set[str]] = defaultdict(set)
    if keys:
        for key, reference in connection.execute(_QUERIES["list_named_batches"], {"keys": keys}):
            members[key].add(reference)
    return {key: frozenset(references) for key, references in members.items()}


def list_movements(
    connection: Connection[Any], code: str, lines: Sequence[Line], *, members: Iterable[str], rules: RuleSet
) -> list[Movement]:
    """Return the unmatched transfers that any of the lines may be: named by it or by its batch, or near in amount and day.

    Named transfers are looked up by their keys. Only where a line names nothing of ours is the account looked through.
    """
    keys = {key for line in lines for key in line.reference_keys} | {key for key in members if is_own_id(key)}
    named = _list_named(connection, code, keys)
    known = {key for movement in named.values() for key in movement.keys}
    nameless = [line for line in lines if not any(is_own_id(key) or key in known for key in line.reference_keys)]
    unknown = [key for key in keys - known if key.startswith(("dec_", "tfr_"))]
    if nameless or unknown:
        return list((_list_near(connection, code, nameless or lines, unknown, rules) | named).values())
    return list(named.values())


def _list_named(connection: Connection[Any], code: str, keys: Iterable[str]) -> dict[str, Movement]:
    ids = {UUID(hex=key.partition(":")[2] or key[4:]) for key in keys if key.startswith(("tfr_", "ins_", "uuid:"))}
    decision_ids = {f"dec_{key[-32:]}" for key in keys if key.startswith(("dec_", "uuid:"))}
    parameters = {"ids": sorted(ids), "decision_ids": sorted(decision_ids)}
    instructed: dict[UUID, set[str]] = defaultdict(set)
    if ids or decision_ids:
        rows = connection.execute(_QUERIES["list_instructed_transfers"], parameters)
        for instruction_id, _, transfer_id in rows:
            instructed[uuid_of(transfer_id)] |= keys_of_id(f"ins_{instruction_id.hex}")
    transfer_ids = sorted(ids | instructed.keys())
    if not transfer_ids:
        return {}
    found = connection.execute(_QUERIES["list_named_movements"], {"code": code, "transfer_ids": transfer_ids})
    return {movement.transfer_id: movement for movement in (_movement_of(row, instructed) for row in found)}


def _list_near(
    connection: Connection[Any], code: str, lines: Sequence[Line], unknown: Sequence[str], rules: RuleSet
) -> dict[str, Movement]:
    days = [line.booked_on for line in lines]
    parameters = {
        "code": code,
        "currencies": sorted({line.currency for line in lines}),
        "amounts": sorted({line.amount_minor for line in lines}),
        "since": datetime.combine(min(days), time(), UTC) - timedelta(days=rules.days),
        "until": datetime.combine(max(days), time(), UTC) + timedelta(days=rules.days + 1),
        "decision_ids": sorted(key for key in unknown if key.startswith("dec_")),
        "hold_ids": sorted(uuid_of(key) for key in unknown if key.startswith("tfr_")),
    }
    found = connection.execute(_QUERIES["list_near_movements"], parameters)
    return {movement.transfer_id: movement for movement in (_movement_of(row, {}) for row in found)}


def _movement_of(row: Sequence[Any], instructed: Mapping[UUID, Iterable[str]]) -> Movement:
    transfer_id, decision_id, hold_id, amount_minor, currency, occurred_at = row
    # What posts a hold may be named by the hold: its id is what the bank was told first.
    own_ids = [transfer_id, *([] if hold_id is None else [hold_id])]
    own_keys = frozenset(key for own_id in own_ids for key in keys_of_id(transfer_id_of(own_id)))
    decision_keys = keys_of_id(decision_id) if decision_id and is_own_id(decision_id) else frozenset()
    return Movement(
        transfer_id=transfer_id_of(transfer_id),
        amount_minor=amount_minor,
        currency=currency,
        occurred_on=occurred_at.astimezone(UTC).date(),
        keys=own_keys | decision_keys | frozenset(instructed.get(transfer_id, ())),
    )


def resolve_batches(batches: Mapping[str, frozenset[str]], movements: Iterable[Movement]) -> dict[str, frozenset[str]]:
    """Return reference key -> transfers of the batch; a member that is no unmatched transfer stays as it is and fits nothing."""
    of_key: dict[str, set[str]] = defaultdict(set)
    for movement in movements:
        for key in movement.keys:
            of_key[key].add(movement.transfer_id)
    return {
        key: frozenset(transfer_id for member in members for transfer_id in of_key.get(member, {member}))
        for key, members in batches.items()
    }


def list_barred_pairs(connection: Connection[Any], code: str) -> frozenset[tuple[str, str]]:
    """Return pairs of line and transfer that a person took apart."""
    rows = connection.execute(_QUERIES["list_barred_pairs"], {"code": code})
    return frozenset((line_id, transfer_id_of(transfer_id)) for line_id, transfer_id in rows)


def record_matches(
    connection: Connection[Any],
    code: str,
    matches: Sequence[Match],
    amounts: Mapping[str, int],
    *,
    rules: RuleSet,
    now: datetime,
) -> None:
    """Write matches. `amounts`: transfer -> what it does to the account.

    Raises: psycopg.errors.UniqueViolation where a line or a transfer has a live match already.
    """
    match_ids = [make_id("mch", now) for _ in matches]
    parameters = {
        "now": now,
        "match_ids": match_ids,
        "line_ids": [match.line_id for match in matches],
        "rules": [rules.name(match.rule) for match in matches],
        "differences": [match.difference_minor for match in matches],
    }
    connection.execute(_QUERIES["insert_matches"], parameters)
    members = [(match_id, member) for match_id, match in zip(match_ids, matches, strict=True) for member in match.transfer_ids]
    connection.execute(
        _QUERIES["insert_match_transfers"],
        {
            "code": code,
            "match_ids": [match_id for match_id, _ in members],
            "transfer_ids": [uuid_of(member) for _, member in members],
            "amounts": [amounts[member] for _, member in members],
        },
    )
    drop_open_lines(connection, code, [match.line_id for match in matches])


def drop_open_lines(connection: Connection[Any], code: str, line_ids: Sequence[str]) -> None:
    """Take lines off the work list."""
    if line_ids:
        connection.execute(_QUERIES["delete_open_lines"], {"code": code, "line_ids": list(line_ids)})


def list_unmatched_movements(
    connection: Connection[Any],
    code: str,
    *,
    currency: str,
    period_start: datetime,
    period_end: datetime,
    transfer_ids: Sequence[UUID] | None = None,
) -> list[UnmatchedMovement]:
    """Return what the ledger holds of a half-open period that no line is matched with."""
    parameters = {
        "code": code,
        "currency": currency,
        "period_start": period_start,
        "period_end": period_end,
        "transfer_ids": None if transfer_ids is None else list(transfer_ids),
    }
    with connection.cursor(row_factory=class_row(UnmatchedMovement)) as cursor:
        return cursor.execute(_QUERIES["list_unmatched_movements"], parameters).fetchall()


def require_live_match(connection: Connection[Any], line_id: str) -> LiveMatch:
    """Return the match of a line. Raises: LineNotMatched, InvalidId."""
    with connection.cursor(row_factory=class_row(LiveMatch)) as cursor:
        found = cursor.execute(_QUERIES["find_live_match"], {"line_id": require_id(line_id, "stl")}).fetchone()
    if found is None:
        raise LineNotMatched(f"the line {line_id} is not matched, or there is no such line in this workspace")
    return found
