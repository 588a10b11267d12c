"""A key service that speaks HashiCorp's Transit API (also OpenBao's): encrypt and decrypt under a named key of type AES-256-GCM.

Source: developer.hashicorp.com/vault/api-docs/secret/transit. `associated_data` binds the context into what is wrapped.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from http import HTTPStatus

import httpx

from masking.key_services import SECRET_BYTES, KeyRefused, KeyServiceDown

_TIMEOUT_S = 5.0
_MAX_ANSWER_BYTES = 64 * 1024


class TransitKeyService:
    """Wrap and unwrap over HTTP: no proxy, no redirect, a deadline, a bounded answer."""

    def __init__(self, *, base_url: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=base_url.rstrip("/") + "/",
            headers={"X-Vault-Token": token, "X-Vault-Request": "true", "Accept-Encoding": "identity"},
            timeout=_TIMEOUT_S,
            trust_env=False,
            follow_redirects=False,
        )

    def make_data_key(self, key_ref: str, *, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return 32 fresh bytes and the same wrapped. Raises: KeyServiceDown, KeyRefused."""
        secret = os.urandom(SECRET_BYTES)
        body = {"plaintext": base64.b64encode(secret).decode(), "associated_data": _bound(context)}
        return secret, self._ask(f"v1/transit/encrypt/{key_ref}", body, "ciphertext").encode()

    def unwrap(self, key_ref: str, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
        """Return what was wrapped. Raises: KeyServiceDown, KeyRefused."""
        body = {"ciphertext": wrapped.decode("ascii", "replace"), "associated_data": _bound(context)}
        try:
            return base64.b64decode(self._ask(f"v1/transit/decrypt/{key_ref}", body, "plaintext"), validate=True)
        except (binascii.Error, ValueError) as error:
            raise KeyRefused("the key service answered with something that is no base64") from error

    def _ask(self, path: str, body: Mapping[str, str], wanted: str) -> str:
        """Return one member of the answer. No word of the service goes into an error: it may repeat what it was sent."""
        try:
            with self._http.stream("POST", path, json=dict(body)) as answer:
                raw = _read_bounded(answer)
        except httpx.HTTPError as error:
            raise KeyServiceDown(f"the key service does not answer ({type(error).__name__})") from None
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            # 503 is what a sealed service says.
            raise KeyServiceDown(f"the key service answers {answer.status_code}: it is sealed, busy or broken")
        if answer.status_code != HTTPStatus.OK:
            raise KeyRefused(
                f"the key service answers {answer.status_code}: check TELLERGATE_KMS_TOKEN, its policy, TELLERGATE_KMS_KEY,"
                " and that the wrapped key belongs to this tenant and version"
            )
        try:
            value = json.loads(raw)["data"][wanted]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise KeyRefused("the key service answered with something that is not Transit's") from None
        if not isinstance(value, str) or not value.isascii():
            raise KeyRefused("the key service answered with something that is not Transit's")
        return value


def _read_bounded(answer: httpx.Response) -> bytes:
    raw = b""
    for piece in answer.iter_raw():
        raw += piece
        if len(raw) > _MAX_ANSWER_BYTES:
            raise KeyRefused(f"the key service answered with more than {_MAX_ANSWER_BYTES} bytes")
    return raw


def _bound(context: Mapping[str, str]) -> str:
    return base64.b64encode(json.dumps(dict(context), sort_keys=True, separators=(",", ":")).encode()).decode()
