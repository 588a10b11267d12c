"""A whole log as files: what the standalone verifier accepts, and each fault by the record, head or anchor that it names."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from gates.receipts.checkpoint import CheckpointSigner
from gates.receipts.tiles import FolderTaken, make_tiles, write_log
from tests.unit.receipts.paper_acts import MONEY_KINDS, NEXT_SIGNER, PaperLog, make_act, make_log
from tests.unit.receipts.paper_log import SIGNER, TENANT, VERIFIER_FILE, load_verifier

_VERIFIER = load_verifier()
_KEYS = tuple(_VERIFIER.parse_key(signer.verifier_key) for signer in (SIGNER, NEXT_SIGNER))


def _refusal(folder: Path, *, anchors: list[dict[str, Any]] | None = None, keys: tuple[Any, ...] = _KEYS) -> str:
    with pytest.raises(_VERIFIER.Refused) as caught:
        _VERIFIER.verify_log(folder, *keys, anchors=anchors)
    return str(caught.value)


def _sign(records: list[dict[str, Any]]) -> PaperLog:
    return PaperLog(records, [(len(records), (SIGNER,))])


@pytest.mark.parametrize("rotated", [False, True])
def test_a_log_with_every_kind_of_act_is_verified(rotated: bool, tmp_path: Path) -> None:
    log = make_log(rotated=rotated)
    anchors = [log.anchor(place) for place in range(len(log.heads))]
    proved = _VERIFIER.verify_log(log.write(tmp_path / "log"), *_KEYS, anchors=anchors)
    assert (proved["log"]["size"], proved["checkpoints"], proved["anchors"]) == (len(log.records), len(log.heads), len(anchors))
    assert proved["decisions"] == {"allow": 15, "hold": 3, "review": 3, "deny": 1}
    assert proved["effects"] == 18
    assert proved["moved_minor"] == {"EUR": sum(1000 + number for number in (*range(2, 2 + len(MONEY_KINDS)), 12, 13, 14, 16))}


@pytest.mark.parametrize("leaves", [1, 255, 256, 257, 700])
def test_the_tiles_are_those_that_the_verifier_expects(leaves: int) -> None:
    row = [bytes([number % 251]) * 32 for number in range(leaves)]
    tiles = make_tiles(row)
    assert tiles == _VERIFIER.make_tiles(row)
    assert b"".join(tiles[name] for name in sorted(tiles) if name.startswith("tile/0/"))[: 32 * 256] == b"".join(row[:256])


def test_the_names_of_tiles() -> None:
    """Source: c2sp.org/tlog-tiles: tile number 1234067 is x001/x234/067."""
    assert [_VERIFIER.name_tile(number) for number in (5, 1000, 1234067)] == ["005", "x001/000", "x001/x234/067"]


def test_a_long_log_has_whole_tiles_and_files(tmp_path: Path) -> None:
    records = [record for number in range(150) for record in make_act("goodwill_credit", number=number)]
    folder = _sign(records).write(tmp_path / "log")
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        "log.json", "checkpoints.jsonl", "entries/000000.jsonl", "entries/000001.jsonl", "entries/000002.jsonl",
        "tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2",
    }  # fmt: skip
    assert _VERIFIER.verify_log(folder, *_KEYS)["effects"] == 150
    (folder / "entries/000001.jsonl").unlink()
    assert _refusal(folder) == "entries: files are missing or there are others"


def test_an_export_overwrites_nothing_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(FolderTaken):
        make_log().write(tmp_path / "log")
    with pytest.raises(RuntimeError):
        write_log(tmp_path / "other", _break_off(), [], tenant_id=TENANT, size=1)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def _break_off() -> Any:
    yield {"a": 1}
    raise RuntimeError


def test_a_cut_tail_shows_with_an_anchor_only(tmp_path: Path) -> None:
    log = make_log()
    anchors = [log.anchor(len(log.heads) - 1)]
    size = log.heads[-3][0]
    cut = PaperLog(log.records[:size], log.heads[:-2]).write(tmp_path / "cut")
    assert _VERIFIER.verify_log(cut, *_KEYS)["verified"] is True
    assert _refusal(cut, anchors=anchors) == f"anchor 1: the log was cut: {len(log.records)} records were anchored, it has {size}"


def test_a_fork_shows_with_an_anchor(tmp_path: Path) -> None:
    log = make_log()
    records = deepcopy(log.records)
    records[3]["trace_id"] = "another"
    forked = PaperLog(records, log.heads).write(tmp_path / "fork")
    assert _VERIFIER.verify_log(forked, *_KEYS)["verified"] is True
    reason = _refusal(forked, anchors=[log.anchor(2)])
    assert reason == f"anchor 1: the log forked: another tree of {log.heads[2][0]} records was anchored"


def test_a_checkpoint_that_does_not_continue_the_one_before_is_named(tmp_path: Path) -> None:
    log, other = make_log(), make_log()
    other.records[0]["trace_id"] = "another"
    folder = log.write(tmp_path / "log")
    lines = (folder / "checkpoints.jsonl").read_bytes().splitlines(keepends=True)
    other_lines = (other.write(tmp_path / "other") / "checkpoints.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "checkpoints.jsonl").write_bytes(b"".join([*lines[:2], other_lines[2], *lines[3:]]))
    size = log.heads[2][0]
    assert _refusal(folder) == f"checkpoint {size}: its root is not that of the first {size} records"


def test_a_changed_record_and_a_changed_tile_are_named(tmp_path: Path) -> None:
    folder = make_log().write(tmp_path / "log")
    entries = folder / "entries" / "000000.jsonl"
    good = entries.read_bytes()
    entries.write_bytes(good.replace(b'"amount_minor":1002', b'"amount_minor":9002', 1))
    assert _refusal(folder).startswith("checkpoint 7: its root is not that of the first 7 records")
    entries.write_bytes(good.replace(b'"event_type":"gate.decided"', b'"event_type": "gate.decided"', 1))
    assert _refusal(folder).startswith("record 2: the bytes are not the canonical form")
    entries.write_bytes(good)
    tile = next(path for path in (folder / "tile").rglob("*") if path.is_file())
    tile.write_bytes(b"\x00" + tile.read_bytes()[1:])
    assert _refusal(folder) == f"{tile.relative_to(folder).as_posix()} holds other hashes than the records give"


def test_a_posting_without_a_decision_is_named(tmp_path: Path) -> None:
    records = make_act("payment", number=1)
    lonely = deepcopy(make_act("payment", number=2)[-1])
    lonely["data"] |= {"decision_id": None, "proposal_id": None}
    assert _refusal(_sign([*records, lonely]).write(tmp_path / "null")) == "record 4: a posting without a decision"
    stranger = make_act("payment", number=3)[-1]
    assert _refusal(_sign([*records, stranger]).write(tmp_path / "other")) == "record 4: no proposal before it"
    doubled = deepcopy(records[-1])
    doubled["event_id"] = "evt_" + "7" * 32
    assert "more than one posting" in _refusal(_sign([*records, doubled]).write(tmp_path / "double"))


def test_imports_and_expired_holds_need_no_decision(tmp_path: Path) -> None:
    held = make_act("payment", "holding", number=1)
    opening = deepcopy(make_act("payment", number=2)[-1])
    opening["data"] |= {"decision_id": None, "proposal_id": None, "code": "opening_balance"}
    expired = deepcopy(make_act("payment", number=3)[-1])
    expired["event_type"] = "ledger.hold_expired"
    expired["data"] |= {"decision_id": None, "proposal_id": None, "code": "expiry", "target_id": held[-1]["subject"]}
    proved = _VERIFIER.verify_log(_sign([*held, opening, expired]).write(tmp_path / "log"), *_KEYS)
    assert proved["undecided_transfers"] == 2
    twice = {**expired, "event_id": "evt_" + "8" * 32}
    refusal = _refusal(_sign([*held, opening, expired, twice]).write(tmp_path / "twice"))
    assert refusal == "record 6: it ends a hold that is not open"


def test_keys_change_only_where_the_log_says_so(tmp_path: Path) -> None:
    log = make_log()
    heads: list[tuple[int, tuple[CheckpointSigner, ...]]] = [
        (size, (NEXT_SIGNER,) if place > 4 else (SIGNER,)) for place, (size, _) in enumerate(log.heads)
    ]
    silent = PaperLog(log.records, heads).write(tmp_path / "silent")
    assert _refusal(silent) == f"checkpoint {log.heads[5][0]}: it is not signed by the key of its time"
    rotated = make_log(rotated=True)
    folder = rotated.write(tmp_path / "rotated")
    assert _refusal(folder, keys=_KEYS[:1]).endswith("the checkpoint is not signed by the key tellergate")
    place = next(place for place, record in enumerate(rotated.records) if record["event_type"] == "gate.key_rotated")
    only_told = PaperLog(rotated.records[: place + 1], [(place + 1, (SIGNER, NEXT_SIGNER))]).write(tmp_path / "told")
    assert _refusal(only_told, keys=_KEYS[:1]) == f"record {place}: the key was changed to one that the key file lacks"
    back = PaperLog(rotated.records, [*rotated.heads[:-1], (len(rotated.records), (SIGNER,))]).write(tmp_path / "back")
    assert _refusal(back) == f"checkpoint {len(rotated.records)}: it is not signed by the key of its time"


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    folder = make_log().write(tmp_path / "log")
    assert _refusal(tmp_path) == "log.json is missing from the log"
    with pytest.raises(_VERIFIER.Unusable):
        _VERIFIER.read_anchors(b"not json\n")
    with pytest.raises(_VERIFIER.Unusable):
        _VERIFIER.read_anchors(b"{}\n")
    (folder / "log.json").write_bytes(b"{}\n")
    assert _refusal(folder).startswith("log.json: the format is not")


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(VERIFIER_FILE), *arguments]
    return subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_line(tmp_path: Path) -> None:
    log = make_log(rotated=True)
    log.write(tmp_path / "log")
    (tmp_path / "keys.pub").write_text(f"{SIGNER.verifier_key}\n{NEXT_SIGNER.verifier_key}\n", encoding="ascii")
    anchors = [log.anchor(1), log.anchor(len(log.heads) - 1)]
    (tmp_path / "anchors.jsonl").write_text("".join(json.dumps(anchor) + "\n" for anchor in anchors), encoding="ascii")
    good = _run(tmp_path, "--log", "log", "--key", "keys.pub", "--anchor", "anchors.jsonl")
    assert (good.returncode, good.stderr) == (0, "")
    assert f"{len(log.heads)} checkpoints, 2 anchored heads" in good.stdout
    assert "NO anchor given" in _run(tmp_path, "--log", "log", "--key", "keys.pub").stdout
    (tmp_path / "anchors.jsonl").write_text(json.dumps({**anchors[0], "root": "0" * 64}) + "\n", encoding="ascii")
    bad = _run(tmp_path, "--log", "log", "--key", "keys.pub", "--anchor", "anchors.jsonl", "--json")
    assert (bad.returncode, json.loads(bad.stdout)["reason"]) == (1, "anchor 1: size or root is not that of its note")
    assert _run(tmp_path, "--log", "none", "--key", "keys.pub").returncode == 2
    assert _run(tmp_path, "--log", "log", "x.json", "--key", "keys.pub").returncode == 2
    assert _run(tmp_path, "--key", "keys.pub").returncode == 2
