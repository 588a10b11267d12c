"""Every writing of a planted value is found, nothing else is, and what is told never holds the value."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from demo.canaries import CANARIES, CANARY_MESSAGE, Canary
from masking.classes import PiiClass
from masking.number_prints import fold_number
from serving.cli import leak_scan
from serving.cli.leak_scan import ScanReport, Searcher, scan_files

WRITERS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "upper": lambda value: value.upper().encode(),
    "json": lambda value: json.dumps({"x": f"a {value} b"}).encode(),
    "json in json": lambda value: json.dumps(json.dumps(value)).encode().replace(b"\\\\", b"\\"),
    "url": lambda value: quote(f"q={value}").encode(),
    "utf-16": lambda value: f"x{value}".encode("utf-16-le"),
    "utf-16 big": lambda value: f"x{value}".encode("utf-16-be"),
    "hex": lambda value: b"ff" + value.encode().hex().encode(),
    "hex upper": lambda value: value.encode().hex().upper().encode(),
    "base64": lambda value: base64.b64encode(value.encode()),
    "base64 at 1": lambda value: base64.b64encode(b"." + value.encode() + b"..."),
    "base64 at 2": lambda value: base64.urlsafe_b64encode(b".." + value.encode() + b"..."),
}


def test_there_is_a_canary_for_every_class() -> None:
    assert {canary.pii_class for canary in CANARIES} == {one.value for one in PiiClass} - {"LITERAL", "OTHER"}
    assert len({canary.value for canary in CANARIES}) == len(CANARIES)
    folded = [fold_number(canary.value) for canary in CANARIES]
    assert not [one for one in folded if sum(one in other for other in folded) > 1], "a canary stands in another one"
    assert all(canary.value in CANARY_MESSAGE for canary in CANARIES)
    assert not Searcher().count([b"Was she charged twice? <CARD_7f3a9k2m-q4> EUR 49.90 on 2026-03-04"])


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.pii_class)
@pytest.mark.parametrize("writer", WRITERS)
def test_every_writing_is_found(canary: Canary, writer: str) -> None:
    written = WRITERS[writer](canary.value)
    for cells in ([b"before", written, b"after"], [written]):
        assert set(Searcher().count(cells)) == {canary.pii_class}


@pytest.mark.parametrize(
    ("written", "pii_class"),
    [
        ("4929 4719 3800 4713", "CARD"),
        ("4929-4719-3800-4713", "CARD"),
        ("DE38 4719 3800 4719 3847 10", "IBAN"),
        ("+44 (20) 7946-0479", "PHONE"),
        ("wilhelmina_quetzalcantó", "PERSON"),
        ("8302_6497 5118", "ACCOUNT"),
    ],
)
def test_other_separators_are_found(written: str, pii_class: str) -> None:
    assert set(Searcher().count([written.encode()])) == {pii_class}


def test_two_cells_make_no_value_together() -> None:
    assert not Searcher().count([b"4929 4719", b"3800 4713"])


def test_files_are_searched_but_for_the_sealed_ones(tmp_path: Path) -> None:
    value = next(canary.value for canary in CANARIES if canary.pii_class == "CARD")
    for name in ("log/edge.jsonl", "pg/data/base/1", "pg/server.log", "secrets/x.key", "bank/out/1.json", "models/ner/x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"line\n{value}\n")
    # Over the border of two blocks.
    (tmp_path / "big.log").write_bytes(b"." * (leak_scan.BLOCK_BYTES - 8) + value.encode())
    searcher = Searcher()
    files, found = scan_files(tmp_path, searcher)
    assert files == 4
    assert [(one.place, one.pii_class, one.count) for one in found] == [
        ("bank/out/1.json", "CARD", 1), ("big.log", "CARD", 1), ("log/edge.jsonl", "CARD", 1), ("pg/server.log", "CARD", 1),
    ]  # fmt: skip
    assert value not in json.dumps(ScanReport(0, files, searcher.searched_bytes, tuple(found)).to_record())
