"""Moving a restored installation into place, and finishing it after any crash in between."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import pytest

from storage.backup import durable, placing
from storage.backup.placing import (
    JOURNAL_FILE,
    DestinationInUse,
    DestinationNotEmpty,
    RestoreUnfinished,
    claim_destination,
    finish_interrupted,
    require_no_unfinished_restore,
)


class PowerCut(BaseException):
    """End a run where a power cut would: nothing of ours may run after it."""


def fill(folder: Path, word: str) -> None:
    for name in ("pg", "secrets"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text(word)


def read(folder: Path) -> list[str]:
    return [(folder / name / "file").read_text() for name in ("pg", "secrets")]


def test_into_a_new_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "var"
    with claim_destination(folder, replace=False) as destination:
        fill(destination.draft, "restored")
        destination.place(aside=None)
    assert read(folder) == ["restored", "restored"]
    assert sorted(path.name for path in folder.iterdir()) == ["pg", "secrets"]


def test_a_failed_restore_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    with claim_destination(folder, replace=False) as destination:
        fill(destination.draft, "half")
    assert not folder.exists()


def test_never_over_something(tmp_path: Path) -> None:
    fill(tmp_path, "old")
    with pytest.raises(DestinationNotEmpty, match="--replace"), claim_destination(tmp_path, replace=False):
        raise AssertionError("it was let in")
    assert read(tmp_path) == ["old", "old"]


def test_replacing_keeps_the_old_aside_and_leaves_the_rest(tmp_path: Path) -> None:
    fill(tmp_path, "old")
    (tmp_path / "models").mkdir()
    with claim_destination(tmp_path, replace=True) as destination:
        fill(destination.draft, "restored")
        destination.place(aside=tmp_path / "replaced-1")
    assert read(tmp_path) == ["restored", "restored"]
    assert read(tmp_path / "replaced-1") == ["old", "old"]
    assert (tmp_path / "models").is_dir()
    assert not (tmp_path / JOURNAL_FILE).exists()


def test_not_under_a_running_service(tmp_path: Path) -> None:
    fill(tmp_path, "old")
    with (tmp_path / "pg" / "owner.lock").open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        with pytest.raises(DestinationInUse, match="stop it first"), claim_destination(tmp_path, replace=True):
            raise AssertionError("it was let in")


def test_not_two_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    first = claim_destination(folder, replace=False)
    with first, pytest.raises(DestinationInUse, match="another restore"), claim_destination(folder, replace=False):
        raise AssertionError("it was let in")


@pytest.mark.parametrize("power_cut", [False, True])
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("survives", range(5))
def test_a_power_cut_between_any_two_moves_is_finished_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survives: int, replace: bool, power_cut: bool
) -> None:
    folder = tmp_path / "var"
    if replace:
        fill(folder, "old")
    real = durable.rename_durably
    moves: list[Path] = []

    def rename(source: Path, target: Path) -> None:
        if len(moves) == survives:
            raise PowerCut
        moves.append(source)
        real(source, target)

    monkeypatch.setattr(placing, "rename_durably", rename)
    if power_cut:
        # What runs at the end of a block does not run after a power cut.
        monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    try:
        with claim_destination(folder, replace=replace) as destination:
            fill(destination.draft, "restored")
            destination.place(aside=folder / "replaced-1" if replace else None)
    except PowerCut:
        pass
    monkeypatch.undo()
    if (folder / JOURNAL_FILE).exists():
        with pytest.raises(RestoreUnfinished):
            require_no_unfinished_restore(folder)
        assert finish_interrupted(folder)
    assert not finish_interrupted(folder)
    require_no_unfinished_restore(folder)
    if survives == 0:
        # Cut before the list of moves was there: all is as it was.
        assert (folder / "pg").exists() == replace
        return
    assert read(folder) == ["restored", "restored"]
    if replace:
        assert read(folder / "replaced-1") == ["old", "old"]


def test_a_fault_between_two_moves_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "var"
    real = durable.rename_durably

    def rename(source: Path, target: Path) -> None:
        if target.name == "secrets":
            raise OSError(5, "Input/output error", str(source))
        real(source, target)

    monkeypatch.setattr(placing, "rename_durably", rename)
    with claim_destination(folder, replace=False) as destination:
        fill(destination.draft, "restored")
        with pytest.raises(RestoreUnfinished, match="Input/output error"):
            destination.place(aside=None)
    monkeypatch.undo()
    assert finish_interrupted(folder)
    assert read(folder) == ["restored", "restored"]


def test_a_broken_list_of_moves_stops_everything(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_FILE).write_text("{")
    with pytest.raises(RestoreUnfinished):
        finish_interrupted(tmp_path)
