"""A stamp says what a finished folder was made from; anything else counts as not made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.setup.stamps import STAMP_NAME, fingerprint, read_stamp, remove_stamp, sha256_of, write_atomically, write_stamp


def test_a_written_stamp_reads_back(tmp_path: Path) -> None:
    write_stamp(tmp_path, {"app.lock": "ab12"})
    assert read_stamp(tmp_path) == {"app.lock": "ab12"}


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\x00"])
def test_a_damaged_stamp_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / STAMP_NAME).write_text(content)
    assert read_stamp(tmp_path) == {}


def test_no_folder_and_a_removed_stamp_count_as_none(tmp_path: Path) -> None:
    assert read_stamp(tmp_path / "missing") == {}
    write_stamp(tmp_path, {"a": "b"})
    remove_stamp(tmp_path)
    remove_stamp(tmp_path)
    assert read_stamp(tmp_path) == {}


def test_sha256_of_a_known_text(tmp_path: Path) -> None:
    (tmp_path / "abc").write_text("abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_fingerprint_sees_content_names_and_new_files_but_not_order(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    before = fingerprint([one, two], root=tmp_path)
    assert fingerprint([two, one], root=tmp_path) == before
    assert fingerprint([one], root=tmp_path) != before
    two.write_text("3")
    changed = fingerprint([one, two], root=tmp_path)
    assert changed != before
    two.rename(tmp_path / "three")
    assert fingerprint([one, tmp_path / "three"], root=tmp_path) != changed


def test_a_failed_write_keeps_the_old_text_and_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "manifest.json"
    write_atomically(target, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(target, "new \ud800")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
