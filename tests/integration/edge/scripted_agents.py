"""The agents process's HTTP seam with a script behind it. It holds what the real one holds: a context for role `ai`."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from domain.ids import make_id

TOKEN = "agents-token"
Line = dict[str, Any] | str | Callable[[], None]
Script = Callable[["TurnSeen"], Iterator[Line]]
TRACE = {
    "prompt_id": "support.read", "prompt_sha256": "a" * 64, "masked_prompt_sha256": "b" * 64, "model": "scripted",
    "generated_by": "template",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TurnSeen:
    """What the process got, and its hands: reading the masked views and writing the inbox as role `ai`."""

    body: dict[str, Any]
    dsn: str

    @property
    def text(self) -> str:
        text: str = self.body["masked_text"]
        return text

    def query(self, statement: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        """Run a statement as role `ai` under the context that came with the turn."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute("SELECT SET_CONFIG('tellergate.context', %s, TRUE)", [self.body["tenant_context"]])
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def propose(self, **arguments: Any) -> str:
        """Put a refund into the inbox."""
        return self.propose_raw(json.dumps(arguments), json.dumps(TRACE))

    def propose_act(self, kind: str, **arguments: Any) -> str:
        """Put an act of any kind into the inbox."""
        return self.propose_raw(json.dumps(arguments), json.dumps(TRACE), kind=kind)

    def propose_raw(self, arguments: str, trace: str, *, kind: str = "refund") -> str:
        """Put any JSON into the inbox."""
        now = datetime.now(UTC)
        proposal_id = make_id("prp", now)
        self.query(
            "INSERT INTO ai.proposals (tenant_id, proposal_id, conversation_id, message_id, kind, arguments, trace, submitted_at)"
            " VALUES (%s, %s, %s, %s, %s, %s::jsonb, %s::jsonb, %s)",
            [
                self.body["tenant_id"],
                proposal_id,
                self.body["conversation_id"],
                self.body["message_id"],
                kind,
                arguments,
                trace,
                now,
            ],
        )
        return proposal_id


@dataclass(slots=True)
class ScriptedAgents:
    """An application whose answers a test writes. A script that raises breaks the connection, as a killed process does."""

    dsn: str
    script: Script
    seen: list[TurnSeen] = field(default_factory=list)
    model: str = "ready"
    gate: threading.Event = field(default_factory=threading.Event)

    def app(self) -> FastAPI:
        """Make the application."""
        app = FastAPI()

        @app.get("/healthz")
        def healthz() -> dict[str, str]:
            return {"state": "ready", "model": self.model, "embeddings": "off"}

        @app.post("/v1/turns")
        async def turns(request: Request) -> Any:
            if request.headers.get("Authorization") != f"Bearer {TOKEN}":
                return JSONResponse({"code": "forbidden"}, status_code=403)
            seen = TurnSeen(await request.json(), self.dsn)
            self.seen.append(seen)
            return StreamingResponse(self._lines(self.script(seen)), media_type="application/x-ndjson")

        return app

    async def _lines(self, script: Iterator[Line]) -> AsyncIterator[str]:
        done = object()
        while (line := await run_in_threadpool(next, script, done)) is not done:
            if callable(line):
                await run_in_threadpool(line)
            elif isinstance(line, str):
                yield line
            else:
                yield json.dumps(line) + "\n"


def sentence(text: str, *, by: str = "template", **citation: str) -> dict[str, Any]:
    """Write a sentence event."""
    return {"type": "sentence", "sentence": {"text": text, "generated_by": by, "citations": [citation] if citation else []}}


def done(state: str = "complete", model: str = "scripted") -> dict[str, Any]:
    """Write the last event."""
    return {"type": "done", "message_state": state, "model": model}
