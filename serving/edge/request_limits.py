"""Pure ASGI layers around the application: how much a request may hold, and the headers of every answer."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import InvalidInput

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A message of 100 kB is up to three times that when a form percent-encodes it.
MAX_BODY_BYTES = 400_000


class BodyTooLarge(InvalidInput):
    """Say that a request holds more than this route takes."""

    code = "body_too_large"


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """Stop reading a request that is too large, whether or not it says so beforehand."""

    app: ASGIApp
    unlimited_paths: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a counting receive."""
        if scope["type"] != "http" or scope["path"] in self.unlimited_paths:
            await self.app(scope, receive, send)
            return
        read_bytes = 0

        async def counted() -> Message:
            nonlocal read_bytes
            message = await receive()
            read_bytes += len(message.get("body", b""))
            if read_bytes > MAX_BODY_BYTES:
                # An HTTPException, because the framework turns any other error while it reads a body into "400".
                raise HTTPException(413, f"the request holds more than {MAX_BODY_BYTES:,} bytes: send less")
            return message

        await self.app(scope, counted, send)


@dataclass(frozen=True, slots=True)
class SecurityHeaders:
    """Put the same strict headers on every answer."""

    app: ASGIApp
    secure: bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a send that adds headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self.secure:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, guarded)
