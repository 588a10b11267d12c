"""Reads the log of placed events by cursor. A position is given once and never moves, so nobody misses or repeats one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from domain.clock import render_time
from domain.errors import BrokenInvariant, InvalidInput
from serving.edge.database import EdgeDatabase
from storage.events import SequencedEvent, list_events, next_position

BEFORE_FIRST = -1


class CursorBeyondLog(InvalidInput):
    """Say that a cursor names a position that the log does not have: it is of another log, or of one that was restored."""

    code = "cursor_beyond_log"


class LogHasGap(BrokenInvariant):
    """Say that a position has no event that can be read. Whoever follows the log must not pass over it."""

    code = "log_has_gap"


@dataclass(frozen=True, slots=True)
class Window:
    """Hold the matching events of a stretch; `read_up_to` is where the next one starts, whether or not anything matched."""

    records: tuple[dict[str, Any], ...]
    read_up_to: int
    last_position: int


@dataclass(frozen=True, slots=True)
class EventLog:
    """Read the log of a tenant."""

    database: EdgeDatabase

    def read_window(self, tenant_id: str, *, after: int, type_prefix: str, size: int) -> Window:
        """Look at up to `size` positions after a cursor. Raises: CursorBeyondLog, LogHasGap, DatabaseUnavailable."""
        with self.database.work(tenant_id) as connection:
            last = next_position(connection) - 1
            if after > last:
                raise CursorBeyondLog(f"there is no position {after}: the log ends at {last}")
            up_to = min(after + size, last)
            found = list_events(connection, after_position=after, limit=up_to - after) if up_to > after else []
        if [one.placement.position for one in found] != list(range(after + 1, up_to + 1)):
            raise LogHasGap(f"not every position from {after + 1} to {up_to} has an event that can be read")
        records = tuple(_record_of(one) for one in found if one.event.event_type.startswith(type_prefix))
        return Window(records, read_up_to=up_to, last_position=last)


def _record_of(placed: SequencedEvent) -> dict[str, Any]:
    event, placement = placed.event, placed.placement
    cloud = {
        "specversion": "1.0",
        "id": event.event_id,
        "type": event.event_type,
        "time": render_time(event.occurred_at),
        "datacontenttype": "application/json",
    }
    return {**cloud, **event.to_record(), "position": placement.position, "leaf_hash": placement.leaf_hash.hex()}
