"""What `mask` keeps on this machine so that `unmask` can give it back: a key, sealed written forms, and who looked when.

A folder of mode 0700: `local.key`, `values.jsonl` (a line for each masked text), `reveals.jsonl` (a line for each text that was
given back, chained by hashes). Secrets (CVV, PIN, passwords) are not kept.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from domain.errors import SetupError
from masking.classes import PiiClass
from masking.entitlements import chip_for
from masking.keys import TenantKeyMissing
from masking.sealing import open_sealed, seal
from masking.tokens import UNKNOWN_REFERENCE, class_of_token, find_tokens
from storage.secrets import ensure_secret, read_secret

_KEY_FILE = "local.key"
_VALUES_FILE = "values.jsonl"
_REVEALS_FILE = "reveals.jsonl"
_FIRST_HASH = "0" * 64
_TAIL_BYTES = 1 << 20


class LocalVaultBroken(SetupError):
    """Say that a file of the local vault is not as this program wrote it."""

    code = "local_vault_broken"


@dataclass(frozen=True, slots=True)
class LocalKeys:
    """Hold the keys of one machine's vault, all derived from one secret."""

    token: bytes = field(repr=False)
    seal: bytes = field(repr=False)
    place: bytes = field(repr=False)
    chain: bytes = field(repr=False)


def derive_keys(secret: str) -> LocalKeys:
    """Derive the keys from the secret's hexadecimal text."""
    parts = (hmac.digest(bytes.fromhex(secret), f"tellergate/local/{name}".encode(), hashlib.sha256) for name in _PURPOSES)
    return LocalKeys(*parts)


_PURPOSES = ("token", "seal", "place", "chain")


def make_local_vault(folder: Path) -> LocalVault:
    """Open the folder; make it and its key first if they are not there. Idempotent. Raises: SecretFileInsecure."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return LocalVault(folder, derive_keys(ensure_secret(folder / _KEY_FILE)))


def open_local_vault(folder: Path) -> LocalVault:
    """Open the folder to give values back. Raises: TenantKeyMissing, SecretFileInsecure."""
    if not (folder / _KEY_FILE).exists():
        raise TenantKeyMissing(f"there is no key in {folder}: nothing was masked here, or it was masked with --ephemeral")
    return LocalVault(folder, derive_keys(read_secret(folder / _KEY_FILE)))


class LocalVault:
    """Keep the written forms of masked texts, sealed, and give them back on the record."""

    def __init__(self, folder: Path, keys: LocalKeys) -> None:
        self.keys = keys
        self._folder = folder
        self._places: dict[str, str] | None = None
        self._holders: dict[str, str] = {}

    def keep(self, masked: str, surfaces: Sequence[tuple[str, str]], *, text_id: str) -> None:
        """Keep how each value of a text was written. Shape: (token, written form) in order. Secrets are left out."""
        if not surfaces:
            return
        place = self._place_of(masked)
        kept = [(token, None if class_of_token(token) is PiiClass.SECRET else surface) for token, surface in surfaces]
        sealed = seal(self.keys.seal, json.dumps(kept).encode(), bound_to=f"local|{place}")
        tokens = sorted({token for token, surface in kept if surface is not None})
        row = {"place": place, "text": self._place_of(text_id), "tokens": tokens, "sealed": base64.b64encode(sealed).decode()}
        with _locked(self._folder / _VALUES_FILE) as stream:
            stream.write(json.dumps(row).encode() + b"\n")

    def restore(self, masked: str, *, text_id: str) -> tuple[str, tuple[str, ...]]:
        """Return the text and the tokens that were resolved. A text masked here comes back as it was written, but for secrets.

        What is no token of this vault becomes "[unknown reference]". Raises: LocalVaultBroken, SealBroken.
        """
        self._load()
        places = self._places or {}
        place = self._place_of(masked)
        own = places.get(f"{place}|{self._place_of(text_id)}") or places.get(place)
        matches = list(find_tokens(masked))
        if own is not None:
            kept = self._open(own)
            if [match.token for match in matches] == [token for token, _ in kept]:
                return self._write(masked, [surface for _, surface in kept])
        return self._write(masked, [self._surface_of(match.token) for match in matches])

    def note_reveal(self, tokens: Sequence[str], *, actor: str, purpose: str, now: datetime) -> None:
        """Put on the record who was given which values back, before he is. The line holds the hash of the one before."""
        with _locked(self._folder / _REVEALS_FILE) as stream:
            previous = self._last_hash(_last_line(stream))
            row = {"at": now.isoformat(), "actor": actor, "purpose": purpose, "tokens": list(tokens), "previous": previous}
            stream.write(json.dumps(row | {"hash": self._link(row)}).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())

    def require_whole_record(self) -> None:
        """Refuse to go on where the record of reveals was changed or torn. Raises: LocalVaultBroken."""
        broken = self.find_broken_reveal()
        if broken is not None:
            raise LocalVaultBroken(
                f"line {broken} of {self._folder / _REVEALS_FILE} was changed: nothing is given back until it is looked into"
            )

    def _last_hash(self, line: bytes) -> str:
        if not line:
            return _FIRST_HASH
        try:
            return str(json.loads(line)["hash"])
        except (ValueError, KeyError, TypeError):
            raise LocalVaultBroken(f"the last line of {self._folder / _REVEALS_FILE} is no line of ours") from None

    def find_broken_reveal(self) -> int | None:
        """Return the number of the first line of the record of reveals that was changed, None if all stand."""
        previous = _FIRST_HASH
        for number, row in enumerate(self._rows(_REVEALS_FILE), start=1):
            body = {name: value for name, value in row.items() if name != "hash"}
            if row.get("previous") != previous or not hmac.compare_digest(str(row.get("hash")), self._link(body)):
                return number
            previous = str(row["hash"])
        return None

    def _link(self, row: Mapping[str, Any]) -> str:
        return hmac.digest(self.keys.chain, json.dumps(row, sort_keys=True).encode(), hashlib.sha256).hex()

    def _place_of(self, text: str) -> str:
        return hmac.digest(self.keys.place, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()

    def _load(self) -> None:
        """Read once where each text and token is sealed; the last writing of a text counts, the first of a token."""
        if self._places is not None:
            return
        self._places = {}
        for row in self._rows(_VALUES_FILE):
            try:
                sealed, place, text = f"{row['place']}:{row['sealed']}", str(row["place"]), str(row["text"])
                tokens = [str(token) for token in row["tokens"]]
            except (KeyError, TypeError) as error:
                raise LocalVaultBroken(f"{self._folder / _VALUES_FILE} has a line without {error}") from None
            self._places[place] = self._places[f"{place}|{text}"] = sealed
            for token in tokens:
                self._holders.setdefault(token, sealed)

    def _rows(self, name: str) -> Iterator[dict[str, Any]]:
        path = self._folder / name
        if not path.exists():
            return
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                if not isinstance(row, dict):
                    raise LocalVaultBroken(f"line {number} of {path} is no JSON object")
                yield row

    def _open(self, sealed: str) -> list[tuple[str, str | None]]:
        place, _, text = sealed.partition(":")
        pairs = json.loads(open_sealed(self.keys.seal, base64.b64decode(text), bound_to=f"local|{place}"))
        return [(str(token), surface) for token, surface in pairs]

    def _surface_of(self, token: str | None) -> str | None:
        if token is None or token not in self._holders:
            return None
        return dict(reversed(self._open(self._holders[token]))).get(token)

    def _write(self, masked: str, surfaces: Sequence[str | None]) -> tuple[str, tuple[str, ...]]:
        parts: list[str] = []
        resolved: list[str] = []
        end = 0
        for match, surface in zip(find_tokens(masked), surfaces, strict=True):
            parts.append(masked[end : match.start])
            end = match.end
            if surface is not None and match.token is not None:
                parts.append(surface)
                resolved.append(match.token)
            else:
                parts.append(chip_for(PiiClass.SECRET) if match.pii_class is PiiClass.SECRET else UNKNOWN_REFERENCE)
        return "".join([*parts, masked[end:]]), tuple(dict.fromkeys(resolved))


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Open for writing at the end, one process at a time."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream


def _last_line(stream: BinaryIO) -> bytes:
    """Read back from the end to the line break before the last line, however long the line is."""
    start = stream.seek(0, os.SEEK_END)
    tail = b""
    while start > 0 and b"\n" not in tail[:-1]:
        length = min(_TAIL_BYTES, start)
        start = stream.seek(start - length)
        tail = stream.read(length) + tail
    lines = tail.splitlines()
    return lines[-1] if lines else b""
