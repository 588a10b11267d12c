"""The signing key's files: made once, closed to others, refused when broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from gates.receipts.signing_key import InvalidSigningKey, KeyFiles, ensure_signer, load_signer, publish_verifier_key
from storage.secrets import SecretFileInsecure, SecretFileMissing


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "receipts.key"
    first = ensure_signer(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert ensure_signer(path).verifier_key == load_signer(path).verifier_key == first.verifier_key


def test_a_key_that_others_may_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "receipts.key"
    with pytest.raises(SecretFileMissing):
        load_signer(path)
    path.write_text("not hex\n", encoding="ascii")
    path.chmod(0o600)
    with pytest.raises(InvalidSigningKey, match="64 hex digits"):
        ensure_signer(path)
    path.chmod(0o644)
    with pytest.raises(SecretFileInsecure):
        load_signer(path)


def test_public_keys_are_one_line_each_and_none_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "receipts.pub"
    lines = ""
    for name in ("a.key", "b.key", "a.key"):
        signer = ensure_signer(tmp_path / name)
        publish_verifier_key(signer, path)
        lines += "" if signer.verifier_key in lines else signer.verifier_key + "\n"
        assert path.read_text(encoding="ascii") == lines


def test_the_next_seed_takes_the_place_of_the_one_in_use(tmp_path: Path) -> None:
    files = KeyFiles(seed=tmp_path / "receipts.key", public_keys=tmp_path / "receipts.pub")
    old = ensure_signer(files.seed)
    with pytest.raises(SecretFileMissing):
        files.promote_next()
    following = ensure_signer(files.next_seed)
    assert files.promote_next().key_id == following.key_id == load_signer(files.seed).key_id != old.key_id
    assert not files.next_seed.exists()
    assert files.seed.stat().st_mode & 0o777 == 0o600
