"""Run one turn: start it, resume it after a crash, or replay it when it was finished. Out come the events of the wire."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import structlog
from langchain_core.runnables import RunnableConfig
from psycopg.errors import InsufficientPrivilege
from pydantic import TypeAdapter

from agents.checkpoints import TenantCheckpoints, checkpoint_config, thread_id
from agents.support.graph import build_support_graph, compile_support_graph
from agents.support.state import SupportDeps, SupportState, TurnContext, View
from agents.support.turn_types import (
    DoneEvent,
    ErrorEvent,
    ProposalEvent,
    QuestionEvent,
    SentenceEvent,
    TurnEvent,
    TurnInput,
)
from domain.errors import Conflict, TellergateError
from masking.text import masked_from_store

_LOG = structlog.get_logger("tellergate.support")
_EVENT: TypeAdapter[TurnEvent] = TypeAdapter(SentenceEvent | ProposalEvent | QuestionEvent | DoneEvent | ErrorEvent)


class TurnRunning(Conflict):
    """Say that this very turn runs already in this process."""

    code = "turn_running"


class SupportTurns:
    """Run support turns. One instance for a process."""

    def __init__(self, deps: SupportDeps) -> None:
        self._deps = deps
        self._graph = build_support_graph(deps)
        self._running: set[str] = set()

    async def run(self, turn: TurnInput, *, tenant_context: str) -> AsyncGenerator[TurnEvent, None]:
        """Yield the events of a turn; the last one is `done` or `error`. The same message again resumes or replays.

        Raises: TurnRunning, DamagedToken.
        """
        masked_from_store(turn.masked_text)
        thread = thread_id(tenant_id=turn.tenant_id, conversation_id=turn.conversation_id, message_id=turn.message_id)
        if thread in self._running:
            raise TurnRunning("this message is being answered already")
        self._running.add(thread)
        try:
            async for event in self._events(turn, thread, tenant_context):
                yield event
        except TellergateError as error:
            _LOG.warning("turn_failed", code=error.code)
            yield ErrorEvent(code=error.code, message=error.message)
        except InsufficientPrivilege:
            _LOG.warning("turn_failed", code="tenant_context_refused")
            yield ErrorEvent(code="tenant_context_refused", message="the tenant context is forged, expired or not for this role")
        finally:
            self._running.discard(thread)

    async def _events(self, turn: TurnInput, thread: str, tenant_context: str) -> AsyncGenerator[TurnEvent, None]:
        context = TurnContext(tenant_context=tenant_context, started_monotonic=self._deps.monotonic())
        compiled = compile_support_graph(self._graph, TenantCheckpoints(self._deps.pool, tenant_context))
        config = RunnableConfig(**checkpoint_config(thread))  # type: ignore[typeddict-item]
        before = await compiled.aget_state(config)
        is_known = "turn" in before.values
        if is_known:
            for event in _replay(before.values):
                yield event
        if not is_known or before.next:
            start: SupportState | None = None if is_known else {"turn": turn.model_dump(mode="json")}
            async for chunk in compiled.astream(start, config, context=context, stream_mode="custom", durability="sync"):
                yield _EVENT.validate_python(chunk)
        after = View.model_validate((await compiled.aget_state(config)).values)
        yield DoneEvent(message_state="complete", model=next((m for m in after.models if m != "none"), "none"))


def _replay(values: dict[str, Any]) -> list[TurnEvent]:
    """Return what the finished steps of a turn had shown, in the order in which it was shown."""
    view = View.model_validate(values)
    shown: list[TurnEvent] = [SentenceEvent(sentence=sentence) for sentence in view.sentences]
    if view.proposal is not None:
        shown.insert(1, ProposalEvent(proposal_id=view.proposal.proposal_id))
    if view.question is not None:
        shown.append(view.question)
    return shown
