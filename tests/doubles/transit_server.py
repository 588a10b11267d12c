"""A key service with Transit's API on a real socket, that misbehaves on order."""

from __future__ import annotations

import base64
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "hvs.transit-token"
Fault = Literal["sealed", "dropped", "garbage", "endless", "redirect", "bare", "deep"]


class TransitServer:
    """Wrap under named keys. `fault` is played on every request while it is set."""

    def __init__(self, *keys: str) -> None:
        self.keys = {name: AESGCM(os.urandom(32)) for name in keys}
        self.fault: Fault | None = None
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, token: str, body: dict[str, Any]) -> tuple[int, bytes]:
        """Return status and body."""
        self.requests.append(path)
        if self.fault is not None:
            return _FAULTS[self.fault]
        *_, deed, name = path.split("/")
        cipher = self.keys.get(name)
        if token != TOKEN or cipher is None:
            return (403, b'{"errors": ["permission denied"]}') if token != TOKEN else (400, b'{"errors": ["no key"]}')
        bound = base64.b64decode(body["associated_data"])
        if deed == "encrypt":
            nonce = os.urandom(12)
            sealed = nonce + cipher.encrypt(nonce, base64.b64decode(body["plaintext"]), bound)
            data = {"ciphertext": "vault:v1:" + base64.b64encode(sealed).decode()}
        else:
            sealed = base64.b64decode(body["ciphertext"].removeprefix("vault:v1:"))
            try:
                data = {"plaintext": base64.b64encode(cipher.decrypt(sealed[:12], sealed[12:], bound)).decode()}
            except InvalidTag:
                return 400, json.dumps({"errors": [f"invalid ciphertext {body['ciphertext']}"]}).encode()
        return 200, json.dumps({"data": data}).encode()

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, raw = server.answer(self.path, self.headers.get("X-Vault-Token", ""), body)
                if server.fault == "dropped":
                    self.close_connection = True
                    return
                self.send_response(status)
                if server.fault == "redirect":
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


_FAULTS: dict[Fault, tuple[int, bytes]] = {
    "sealed": (503, b'{"errors": ["Vault is sealed"]}'),
    "dropped": (200, b""),
    "garbage": (200, b"<html>"),
    "endless": (200, b'{"data": {"plaintext": "' + b"A" * 200_000 + b'"}}'),
    "redirect": (307, b""),
    "bare": (200, b'{"data": {"plaintext": 7, "ciphertext": null}}'),
    "deep": (200, b"[" * 60_000),
}
