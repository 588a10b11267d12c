"""A server that speaks just enough of the OpenAI API over a real Unix socket, and misbehaves on order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

Mode = Literal[
    "good", "garbage", "empty", "hang", "hang_in_stream", "drop", "drop_in_stream", "error500", "not_json", "cut", "endless",
    "blank", "broken_events",
]  # fmt: skip


class FakeOpenAi:
    """Answer `text` in pieces of words; keep the requests."""

    def __init__(self, text: str = "The answer is here. ") -> None:
        self.mode: Mode = "good"
        self.text = text
        self.requests: list[dict[str, Any]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.hold = asyncio.Event()
        self.hold.set()

    @asynccontextmanager
    async def serve(self, uds: Path) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(self._answer, path=str(uds))
        try:
            yield
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := await reader.readuntil(b"\r\n\r\n")) and await self._one(head.decode(), reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if head.startswith("GET /health"):
            await _send(writer, 200, "text/plain", b"ok")
            return True
        length = next(int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length"))
        self.requests.append(json.loads(await reader.readexactly(length)))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self.hold.wait()
            return await self._respond(self.requests[-1], reader, writer)
        finally:
            self.in_flight -= 1

    async def _respond(self, request: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if self.mode == "drop":
            return False
        if self.mode == "hang":
            await reader.read()  # until the caller hangs up
            return False
        if self.mode == "error500":
            await _send(writer, 500, "application/json", b'{"error": {"message": "quotes the prompt: secret"}}')
            return True
        if self.mode == "not_json":
            await _send(writer, 200, "application/json", b"<html>busy</html>")
            return True
        text = {"garbage": "\ufffd" * 50, "empty": ""}.get(self.mode, self.text)
        if request.get("stream"):
            return await self._stream(text, reader, writer)
        finish = "length" if self.mode == "cut" else "stop"
        await _send(writer, 200, "application/json", json.dumps(_whole(text, finish)).encode())
        return True

    async def _stream(self, text: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        if self.mode == "broken_events":
            writer.write(_chunk(b"data: {not json\n\ndata: [1, 2]\n\n") + b"0\r\n\r\n")
            return True
        while self.mode in ("endless", "blank"):
            # As fast as the caller reads, whatever `max_tokens` said, and never the end of a sentence.
            writer.write(_chunk(b"data: " + json.dumps(_piece(" " if self.mode == "blank" else "and so on ")).encode() + b"\n\n"))
            await writer.drain()
        for number, piece in enumerate(text.split(" ")):
            if self.mode == "hang_in_stream" and number == 2:
                await writer.drain()
                await reader.read()
                return False
            if self.mode == "drop_in_stream" and number == 2:
                writer.transport.abort()
                return False
            writer.write(_chunk(b"data: " + json.dumps(_piece(piece + " ")).encode() + b"\n\n"))
        last = json.dumps({**_piece(""), "choices": [], "usage": _USAGE}).encode()
        writer.write(_chunk(b"data: " + last + b"\n\ndata: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()
        return True


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


_USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def _whole(text: str, finish: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "chat", "choices": [choice], "usage": _USAGE}


def _piece(text: str) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
    return {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "chat", "choices": [choice]}


async def _send(writer: asyncio.StreamWriter, status: int, content_type: str, body: bytes) -> None:
    writer.write(f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
