"""The log of events, for whoever follows it: pages by cursor, and a wait for what comes next."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from domain.errors import Unavailable
from domain.event import Event
from domain.roles import Role
from serving.edge.access import UsedServices, call_for
from serving.edge.event_log import BEFORE_FIRST, EventLog, Window
from serving.edge.sessions import SignedIn

router = APIRouter(tags=["events"])
Reader = Annotated[SignedIn, Depends(call_for(Role.AUDITOR, Role.ADMIN))]
# Shorter than the time that open requests get when the edge stops (`serving.serve`), so that none is cut off.
MAX_WAIT_S = 3
_LOOK_AGAIN_S = 0.25
_MAX_WAITING = 64


class TooManyFollowers(Unavailable):
    """Say that enough others wait for events already."""

    code = "too_many_followers"


class PlacedEvent(Event):
    """One event with its place in the log: CloudEvents 1.0 attributes, our own beside them. It holds no regulated value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    specversion: Literal["1.0"]
    id: str
    type: str
    time: str
    datacontenttype: Literal["application/json"]
    position: Annotated[int, Field(ge=0, description="The index of its leaf in the tenant's tree; without gaps, from 0.")]
    leaf_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class EventPage(BaseModel):
    """A page of events in their order. Ask again with `after` = `next_after`: nothing is missed, nothing comes twice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: list[PlacedEvent]
    next_after: int
    last_position: Annotated[int, Field(description="Where the log ended at that moment; -1 when it is empty.")]


class _Waiting:
    """Count who waits."""

    def __init__(self) -> None:
        self._count = 0

    def __enter__(self) -> None:
        if self._count >= _MAX_WAITING:
            raise TooManyFollowers(f"{_MAX_WAITING} others wait for events already: ask without wait_s, or later")
        self._count += 1

    def __exit__(self, *_: object) -> None:
        self._count -= 1


_WAITING = _Waiting()


@router.get("/events", operation_id="listEvents")
async def list_events(
    request: Request,
    caller: Reader,
    services: UsedServices,
    after: Annotated[
        int, Query(ge=BEFORE_FIRST, le=2**53 - 1, description="The last position that you have; -1: from the first")
    ] = -1,
    type_prefix: Annotated[
        str, Query(alias="type", pattern=r"^[a-z_.]{0,100}$", description="Such as ledger. or gate.decided")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=1000, description="Positions to look at")] = 500,
    wait_s: Annotated[int, Query(ge=0, le=MAX_WAIT_S, description="Wait so long for a first event")] = 0,
) -> EventPage:
    """Return placed events after a cursor, in the order of the log."""
    log = EventLog(services.deps.database)

    async def look(cursor: int) -> Window:
        return await run_in_threadpool(log.read_window, caller.tenant_id, after=cursor, type_prefix=type_prefix, size=limit)

    window = await look(after)
    if wait_s and not window.records:
        with _WAITING:
            deadline = asyncio.get_running_loop().time() + wait_s
            while not window.records and asyncio.get_running_loop().time() < deadline and not await request.is_disconnected():
                if window.read_up_to == window.last_position:
                    await asyncio.sleep(_LOOK_AGAIN_S)
                window = await look(window.read_up_to)
    await run_in_threadpool(services.exports.require_clean, window.records, tenant_id=caller.tenant_id, name="log")
    return EventPage(items=_placed(window), next_after=window.read_up_to, last_position=window.last_position)


def _placed(window: Window) -> list[Any]:
    return [PlacedEvent.model_validate(record) for record in window.records]
