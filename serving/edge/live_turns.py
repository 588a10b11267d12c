"""Turns that are being answered now. A turn runs to its end whether or not its reader stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from domain.errors import Conflict
from serving.edge.turn_events import TurnEvent, TurnFinished


class StillAnswering(Conflict):
    """Say that the conversation is busy with the message before."""

    code = "still_answering"


@dataclass(slots=True)
class LiveTurn:
    """Collect the events of one turn; any number of readers follow it from its start."""

    conversation_id: str
    message_id: str
    _events: list[TurnEvent] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def publish(self, event: TurnEvent) -> None:
        """Append an event and wake the readers."""
        async with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    async def follow(self) -> AsyncIterator[TurnEvent]:
        """Yield every event, the last one being TurnFinished."""
        position = 0
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda seen=position: len(self._events) > seen)  # type: ignore[misc]
                fresh = self._events[position:]
            for event in fresh:
                yield event
                if isinstance(event, TurnFinished):
                    return
            position += len(fresh)


@dataclass(slots=True)
class TurnHub:
    """Know the live turns of this process by message and by conversation, and keep their tasks alive."""

    _by_message: dict[str, LiveTurn] = field(default_factory=dict)
    _by_conversation: dict[str, LiveTurn] = field(default_factory=dict)
    _reserved: set[str] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def reserve(self, conversation_id: str) -> None:
        """Keep other messages out of a conversation while one is being taken in. Raises: StillAnswering."""
        if conversation_id in self._by_conversation or conversation_id in self._reserved:
            raise StillAnswering(
                "the previous message of this conversation is still being answered: wait for it, then send again"
            )
        self._reserved.add(conversation_id)

    def release(self, conversation_id: str) -> None:
        """Undo `reserve`. Idempotent."""
        self._reserved.discard(conversation_id)

    def open(self, conversation_id: str, message_id: str) -> LiveTurn:
        """Start to collect a turn."""
        turn = LiveTurn(conversation_id, message_id)
        self._by_message[message_id] = turn
        self._by_conversation[conversation_id] = turn
        return turn

    def keep(self, task: asyncio.Task[None], turn: LiveTurn) -> None:
        """Hold a turn's task until it ends; then forget the turn."""
        self._tasks.add(task)

        def forget(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            self._by_message.pop(turn.message_id, None)
            if self._by_conversation.get(turn.conversation_id) is turn:
                self._by_conversation.pop(turn.conversation_id)

        task.add_done_callback(forget)

    def find(self, message_id: str) -> LiveTurn | None:
        """Return the turn that answers this message, if it is live."""
        return self._by_message.get(message_id)

    async def drain(self, timeout_s: float) -> None:
        """Give live turns some time to end, then cancel them."""
        if not self._tasks:
            return
        _, pending = await asyncio.wait(set(self._tasks), timeout=timeout_s)
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.gather(*pending, return_exceptions=True)
