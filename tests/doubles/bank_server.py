"""A small bank with an API on a real socket, that carries out instructions once each and misbehaves on order."""

from __future__ import annotations

import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Fault = Literal[
    "error500", "done_then_silent", "done_then_dropped", "dropped", "garbage", "drip_head", "drip_body", "endless", "redirect",
    "wrong_id", "unauthorized", "bare404", "gzip", "repeated_name", "busy", "endless_brackets", "bare409",
]  # fmt: skip
TOKEN = "bank-token"


class BankServer:
    """Hold what the bank did. `faults` are played one a request, then it behaves; `before_answer` runs in between."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.carried_out: Counter[str] = Counter()
        self.before_deed: Callable[[str], None] = lambda _: None
        self.before_answer: Callable[[str], None] = lambda _: None
        self.default_status: dict[str, Any] = {"status": "accepted"}
        self.elsewhere = ""
        self._bodies: dict[str, bytes] = {}
        self._statements: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._scheme = "http" if tls is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}/v1"

    def say(self, instruction_id: str, **statement: Any) -> None:
        """Change what the bank says of a key."""
        self._statements[instruction_id] = statement

    def body_of(self, instruction_id: str) -> dict[str, Any]:
        """Return what it was told."""
        body = json.loads(self._bodies[instruction_id])
        assert isinstance(body, dict)
        return body

    def stop(self) -> None:
        """Stop; who hangs is let go."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        bank = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                bank._handle(self, b"")

            def do_POST(self) -> None:
                bank._handle(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *_: Any) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    self.close_connection = True

        return Handler

    def _handle(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        with self._lock:
            self.requests.append((request.command, request.path))
            fault = self.faults.pop(0) if self.faults else None
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(request, 401, {"code": "wrong_token"})
            return
        if fault in ("done_then_silent", "done_then_dropped", None, "wrong_id", "endless", "drip_body", "garbage"):
            status, answer = self._act(request, body)
        else:
            status, answer = 500, {}
        if fault is None:
            self._answer(request, status, answer)
        else:
            self._misbehave(request, fault, answer)

    def _act(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, Any]]:
        if request.command == "GET":
            instruction_id = request.path.rsplit("/", 1)[1]
            if instruction_id not in self._bodies:
                return 404, {"code": "unknown_instruction"}
            return 200, self._statement(instruction_id)
        instruction_id = request.headers["Idempotency-Key"]
        self.before_deed(instruction_id)
        with self._lock:
            known = self._bodies.setdefault(instruction_id, body)
            if known is body:
                self._statements.setdefault(instruction_id, self.default_status)
                if self._statements[instruction_id]["status"] != "refused":
                    self.carried_out[instruction_id] += 1
        if known != body:
            return 409, {"code": "key_conflict"}
        self.before_answer(instruction_id)
        return 200, self._statement(instruction_id)

    def _statement(self, instruction_id: str) -> dict[str, Any]:
        return {"format": "tellergate-acknowledgement/1", "instruction_id": instruction_id, **self._statements[instruction_id]}

    def _misbehave(self, request: BaseHTTPRequestHandler, fault: Fault, answer: dict[str, Any]) -> None:
        match fault:
            case "error500":
                self._answer(request, 500, {"code": "oops"})
            case "busy":
                self._answer(request, 429, {"code": "busy"}, {"Retry-After": "120"})
            case "unauthorized":
                self._answer(request, 403, {"code": "no"})
            case "bare404":
                self._answer(request, 404, {"detail": "not found"})
            case "bare409":
                self._answer(request, 409, {"detail": "conflict"})
            case "redirect":
                self._answer(request, 307, {}, {"Location": self.elsewhere})
            case "garbage":
                self._write(request, 200, b"<html>maintenance</html>")
            case "endless_brackets":
                self._write(request, 200, b"[" * 60_000)
            case "repeated_name":
                self._write(request, 200, b'{"status": "accepted", "status": "confirmed"}')
            case "gzip":
                self._write(request, 200, b"\x1f\x8b", {"Content-Encoding": "gzip"})
            case "wrong_id":
                self._answer(request, 200, {**answer, "instruction_id": f"ins_{0:032x}", "status": "confirmed"})
            case "endless":
                self._flood(request)
            case "dropped" | "done_then_dropped":
                request.close_connection = True
            case "done_then_silent":
                self._released.wait(60)
                request.close_connection = True
            case "drip_head":
                self._drip(request, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000)
            case "drip_body":
                self._drip(request, b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + b" " * 10_000)

    def _flood(self, request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        request.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while not self._released.is_set():
            request.wfile.write(b" " * 65_536)

    def _drip(self, request: BaseHTTPRequestHandler, content: bytes) -> None:
        request.close_connection = True
        for byte in content:
            request.wfile.write(bytes([byte]))
            request.wfile.flush()
            if self._released.wait(0.05):
                return

    def _answer(
        self, request: BaseHTTPRequestHandler, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        self._write(request, status, json.dumps(body).encode(), headers)

    @staticmethod
    def _write(request: BaseHTTPRequestHandler, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)
