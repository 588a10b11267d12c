"""HTTP to one host outside, bounded in every way: no proxy, no redirect, the certificate checked, a deadline, a size."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx

from domain.errors import SetupError, Unavailable

_CONNECT_TIMEOUT_S = 5.0
_MAX_RETRY_AFTER_S = 3600
NoAnswerReason = Literal["timeout", "unreachable", "broke_off", "answer_unreadable"]


class NoAnswer(Unavailable):
    """Say that no answer came, or none that can be read. What was asked may have been done, unless it was `unreachable`."""

    code = "no_answer"

    def __init__(self, message: str, reason: NoAnswerReason) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold an answer whole. `retry_after_s` is 0 where none was given in seconds."""

    status: int
    raw: bytes
    retry_after_s: int

    @property
    def error_code(self) -> str:
        """Return the member `code` of a JSON object, "" without one."""
        try:
            body = json.loads(self.raw)
        except (ValueError, RecursionError):
            return ""
        return str(body.get("code", "")) if isinstance(body, dict) else ""


class BoundedHttp:
    """Speak to one base URL with one bearer token. One thread's own; `deadline_s` ends an exchange, however slowly it drips."""

    def __init__(
        self, *, base_url: str, token: str, max_answer_bytes: int, deadline_s: float, ca_file: Path | None = None
    ) -> None:
        self._deadline_s = deadline_s
        self._max_answer_bytes = max_answer_bytes
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(deadline_s, connect=min(_CONNECT_TIMEOUT_S, deadline_s)),
            verify=_trust(ca_file),
            trust_env=False,
            follow_redirects=False,
        )

    def call(self, method: str, path: str, **options: Any) -> Answer:
        """Send one request and return the answer, whatever its status. Raises: NoAnswer."""
        try:
            return self._runner.run(self._exchange(method, path, options))
        except (TimeoutError, httpx.TimeoutException):
            raise NoAnswer(f"no answer within {self._deadline_s:.0f} s", "timeout") from None
        except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
            raise NoAnswer(f"not reached: {error}", "unreachable") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise NoAnswer(f"broken off: {type(error).__name__}", "broke_off") from None

    def close(self) -> None:
        """Close the connections. Idempotent."""
        if not self._client.is_closed:
            self._runner.run(self._client.aclose())
            self._runner.close()

    async def _exchange(self, method: str, path: str, options: dict[str, Any]) -> Answer:
        async with asyncio.timeout(self._deadline_s), self._client.stream(method, path, **options) as answer:
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise NoAnswer("answered in an encoding that we did not ask for", "answer_unreadable")
            raw = bytearray()
            async for chunk in answer.aiter_raw():
                raw += chunk
                if len(raw) > self._max_answer_bytes:
                    raise NoAnswer(f"answered with more than {self._max_answer_bytes:,} bytes", "answer_unreadable")
            return Answer(answer.status_code, bytes(raw), _seconds(answer.headers.get("Retry-After", "")))


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise SetupError(f"{ca_file} holds no certificates: {error}", code="no_certificates") from error


def _seconds(text: str) -> int:
    return min(int(text), _MAX_RETRY_AFTER_S) if text.isascii() and text.isdigit() and len(text) < 10 else 0
