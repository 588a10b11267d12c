"""Sealed keys: they open with their passphrase, unchanged, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import SetupError
from storage.backup.sealed_keys import (
    InvalidRecoveryKey,
    KeySet,
    SealedKeysDamaged,
    WrongRecoveryKey,
    open_keys,
    read_recovery_key,
    require_key_name,
    require_recovery_key,
    seal_keys,
)

KEY = b"an invented passphrase"
KEYS = KeySet(belongs_to={"backup_id": "b"}, files={"secrets/receipts.key": b"\x00\xffseed", "receipts.pub": b"public"})


@pytest.fixture(scope="module")
def sealed() -> bytes:
    return seal_keys(KEYS, KEY)


def test_they_come_back_byte_for_byte_and_never_look_the_same(sealed: bytes) -> None:
    assert open_keys(sealed, KEY) == KEYS
    assert seal_keys(KEYS, KEY) != sealed
    assert b"seed" not in sealed
    assert b"receipts" not in sealed


def test_another_passphrase_opens_nothing(sealed: bytes) -> None:
    with pytest.raises(WrongRecoveryKey):
        open_keys(sealed, KEY + b"x")


@pytest.mark.parametrize("place", [12, 30, 40, -1])
def test_a_flipped_bit_opens_nothing(sealed: bytes, place: int) -> None:
    changed = bytearray(sealed)
    changed[place] ^= 1
    with pytest.raises(WrongRecoveryKey):
        open_keys(bytes(changed), KEY)


@pytest.mark.parametrize(
    "broken", [lambda raw: raw[:20], lambda raw: b"", lambda raw: b"X" + raw[1:], lambda raw: raw[:8] + b"\x1f" + raw[9:]]
)
def test_what_is_no_sealed_set_is_said_to_be_none(sealed: bytes, broken: object) -> None:
    with pytest.raises(SealedKeysDamaged):
        open_keys(broken(sealed), KEY)  # type: ignore[operator]


@pytest.mark.parametrize("name", ["../x", "secrets/../x", "/etc/passwd", "secrets/a/b", "pg", "secrets", "", ".hidden", "a\nb"])
def test_a_file_outside_of_the_installation_is_refused(name: str) -> None:
    with pytest.raises(SealedKeysDamaged):
        require_key_name(name)
    evil = seal_keys(KeySet(belongs_to={}, files={name: b"x"}), KEY)
    with pytest.raises(SealedKeysDamaged):
        open_keys(evil, KEY)


@pytest.mark.parametrize("raw", [b"", b"short", b"two lines of\nsomething", b"nul\0" + b"x" * 20, b"x" * 5000])
def test_a_weak_or_broken_passphrase_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRecoveryKey):
        require_recovery_key(raw)


def test_the_key_file_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "recovery.key"
    with pytest.raises(SetupError, match="cannot read"):
        read_recovery_key(path)
    path.write_bytes("über sieben Brücken\n".encode())
    path.chmod(0o640)
    with pytest.raises(SetupError, match="open to other users"):
        read_recovery_key(path)
    path.chmod(0o600)
    assert read_recovery_key(path) == "über sieben Brücken".encode()
