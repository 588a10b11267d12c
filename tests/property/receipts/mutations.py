"""Attacks on receipts, proofs, checkpoints and whole logs, drawn from a seed; each must be refused by the standalone verifier."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.canonical import canonical_bytes
from gates.receipts.checkpoint import CheckpointSigner
from gates.receipts.export import render_receipt
from tests.unit.receipts.paper_acts import (
    MONEY_KINDS,
    MONEYLESS_KINDS,
    NEXT_SIGNER,
    PaperLog,
    Way,
    make_act,
    make_log,
    make_rotation,
)
from tests.unit.receipts.paper_log import SIGNER, load_verifier, make_receipt

_VERIFIER = load_verifier()
_KEYS = tuple(_VERIFIER.parse_key(signer.verifier_key) for signer in (SIGNER, NEXT_SIGNER))
_STRANGER = CheckpointSigner(Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
_EFFECTS = ("ledger.transfer_posted", "ledger.hold_posted", "ledger.hold_placed", "gate.executed")


def count_undetected(seed: int, count: int) -> dict[str, int]:
    """Try `count` attacks, class by class in turn; return how many of each class went through. All must be zero."""
    random = Random(seed)
    with tempfile.TemporaryDirectory(prefix="tg-log-") as home:
        bench = _Bench(Path(home))
        attacks = {
            **{f"receipt_{name}": attack for name, attack in _RECEIPT_ATTACKS.items()},
            **{f"log_{name}": attack for name, attack in _LOG_ATTACKS.items()},
        }
        undetected = dict.fromkeys(attacks, 0)
        names = list(attacks)
        for number in range(count):
            name = names[number % len(names)]
            undetected[name] += not attacks[name](bench, random)
    return undetected


class _Bench:
    """Hold good receipts and a good log on disk, and what is anchored of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.receipts = [make_receipt(make_act(kind, way)) for kind, way in _acts()]
        self.log = make_log(rotated=True)
        self.folder = self.log.write(home / "good")
        self.anchors = [self.log.anchor(place) for place in (1, 4, len(self.log.heads) - 1)]
        if _is_refused(lambda: _VERIFIER.verify_log(self.folder, *_KEYS, anchors=self.anchors)):
            raise AssertionError("the good log is refused")

    def refuses_receipt(self, content: bytes) -> bool:
        return _is_refused(lambda: _VERIFIER.verify(content, *_KEYS))

    def refuses_folder(self, *, anchors: list[dict[str, Any]] | None = None) -> bool:
        return _is_refused(lambda: _VERIFIER.verify_log(self.folder, *_KEYS, anchors=anchors))

    def refuses_log(self, log: PaperLog, *, anchors: list[dict[str, Any]] | None = None) -> bool:
        folder = log.write(self.home / "other")
        try:
            return _is_refused(lambda: _VERIFIER.verify_log(folder, *_KEYS, anchors=anchors))
        finally:
            shutil.rmtree(folder)

    def refuses_file(self, path: Path, content: bytes | None) -> bool:
        """Put another content into one file, or take the file away; then put it back."""
        good = path.read_bytes()
        try:
            path.unlink() if content is None else path.write_bytes(content)
            return self.refuses_folder()
        finally:
            path.write_bytes(good)


def _acts() -> list[tuple[str, Way]]:
    ways: tuple[Way, ...] = ("allow", "approved", "held", "holding", "denied")
    return [(kind, way) for kind in MONEY_KINDS for way in ways] + [(kind, "approved") for kind in MONEYLESS_KINDS]


def _is_refused(act: Callable[[], object]) -> bool:
    try:
        act()
    except _VERIFIER.Refused:
        return True
    return False


# Receipts, proofs, checkpoints -----------------------------------------------------------------------------------------------


def _flip_receipt(bench: _Bench, random: Random) -> bool:
    return bench.refuses_receipt(_flip(render_receipt(random.choice(bench.receipts)), random))


def _cut_receipt(bench: _Bench, random: Random) -> bool:
    content = render_receipt(random.choice(bench.receipts))
    start = random.randrange(len(content))
    return bench.refuses_receipt(content[:start] + content[start + random.randint(1, 200) :])


def _edit_receipt(random: Random, bench: _Bench, change: Callable[[dict[str, Any]], None]) -> bool:
    receipt = json.loads(render_receipt(random.choice(bench.receipts)))
    change(receipt)
    return bench.refuses_receipt(canonical_bytes(receipt) + b"\n")


def _drop_record(bench: _Bench, random: Random) -> bool:
    return _edit_receipt(random, bench, lambda receipt: receipt["records"].pop(random.randrange(len(receipt["records"]))))


def _swap_records(bench: _Bench, random: Random) -> bool:
    def change(receipt: dict[str, Any]) -> None:
        first, second = random.sample(receipt["records"], 2)
        part = random.choice(["record", "index", "path"])
        first[part], second[part] = second[part], first[part]

    return _edit_receipt(random, bench, change)


def _change_proof(bench: _Bench, random: Random) -> bool:
    def change(receipt: dict[str, Any]) -> None:
        path = random.choice(receipt["records"])["path"]
        place = random.randrange(len(path))
        match random.randrange(3):
            case 0:
                path[place] = random.randbytes(32).hex()
            case 1:
                path.insert(place, random.randbytes(32).hex())
            case _:
                del path[place]

    return _edit_receipt(random, bench, change)


def _change_value(bench: _Bench, random: Random) -> bool:
    """Change one value of one record: the leaf has to give it away."""

    def change(receipt: dict[str, Any]) -> None:
        record = random.choice(receipt["records"])["record"]
        target = random.choice([record, record["data"]])
        name = random.choice([name for name in target if name != "data"])
        target[name] = _other(target[name], random)

    return _edit_receipt(random, bench, change)


def _change_checkpoint(bench: _Bench, random: Random) -> bool:
    def change(receipt: dict[str, Any]) -> None:
        text, _, signature = receipt["checkpoint"].partition("\n\n")
        origin, size, root = text.split("\n")
        match random.randrange(4):
            case 0:
                size = str(int(size) + random.choice([-1, 1, 10]))
            case 1:
                root = random.choice(bench.log.notes()).split("\n")[2]
            case 2:
                origin += "x"
            case _:
                signature = random.choice(bench.log.notes()).partition("\n\n")[2]
        receipt["checkpoint"] = f"{origin}\n{size}\n{root}\n\n{signature}"

    return _edit_receipt(random, bench, change)


def _foreign_key(bench: _Bench, random: Random) -> bool:
    kind, way = random.choice(_acts())
    return bench.refuses_receipt(render_receipt(make_receipt(make_act(kind, way), signer=_STRANGER)))


def _signed_lie(bench: _Bench, random: Random) -> bool:
    """Lie about what was done, with the right key: only the links between the records tell."""
    records = deepcopy(make_act(*random.choice([act for act in _acts() if act[1] != "denied"])))
    effect = next(record for record in reversed(records) if record["event_type"] in _EFFECTS)
    match random.randrange(3):
        case 0:
            names = [
                name for name in ("amount_minor", "debit", "credit", "transfer_digest", "currency") if name in effect["data"]
            ]
            name = random.choice(names)
            effect["data"][name] = _other(effect["data"][name], random)
        case 1:
            decision = records[records.index(effect) - 1]
            decision["data"]["outcome"] = random.choice(["deny", "review"])
        case _:
            effect["data"]["decision_event_id"] = "evt_" + random.randbytes(16).hex()
    return bench.refuses_receipt(render_receipt(make_receipt(records)))


# Whole logs ------------------------------------------------------------------------------------------------------------------


def _flip_file(bench: _Bench, random: Random) -> bool:
    path = random.choice([path for path in sorted(bench.folder.rglob("*")) if path.is_file()])
    return bench.refuses_file(path, _flip(path.read_bytes(), random))


def _drop_file(bench: _Bench, random: Random) -> bool:
    return bench.refuses_file(random.choice([path for path in sorted(bench.folder.rglob("*")) if path.is_file()]), None)


def _edit_lines(bench: _Bench, random: Random, change: Callable[[list[bytes]], object]) -> bool:
    path = bench.folder / random.choice(["entries/000000.jsonl", "checkpoints.jsonl"])
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    return bench.refuses_file(path, b"".join(lines))


def _drop_line(bench: _Bench, random: Random) -> bool:
    return _edit_lines(bench, random, lambda lines: lines.pop(random.randrange(len(lines))))


def _swap_lines(bench: _Bench, random: Random) -> bool:
    def change(lines: list[bytes]) -> None:
        first, second = random.sample(range(len(lines)), 2)
        lines[first], lines[second] = lines[second], lines[first]

    return _edit_lines(bench, random, change)


def _repeat_line(bench: _Bench, random: Random) -> bool:
    return _edit_lines(bench, random, lambda lines: lines.insert(random.randrange(len(lines)), random.choice(lines)))


def _truncate(bench: _Bench, random: Random) -> bool:
    """Go back to an earlier head, all of it rightly signed: the anchor tells."""
    place = random.randrange(2, len(bench.log.heads) - 1)
    size = bench.log.heads[place][0]
    return bench.refuses_log(PaperLog(bench.log.records[:size], bench.log.heads[: place + 1]), anchors=bench.anchors)


def _fork(bench: _Bench, random: Random) -> bool:
    """Tell another history, sensible and signed by the right keys: the anchor tells."""
    records = deepcopy(bench.log.records)
    place = random.randrange(len(records))
    records[place]["trace_id"] = random.randbytes(8).hex()
    return bench.refuses_log(PaperLog(records, bench.log.heads), anchors=bench.anchors)


def _other_tree(bench: _Bench, random: Random) -> bool:
    """Change a record and leave the heads: the roots tell, without any anchor."""
    records = deepcopy(bench.log.records)
    records[random.randrange(len(records))]["trace_id"] = random.randbytes(8).hex()
    folder = bench.home / "other"
    PaperLog(records, bench.log.heads).write(folder)
    shutil.copy(bench.folder / "checkpoints.jsonl", folder / "checkpoints.jsonl")
    try:
        return _is_refused(lambda: _VERIFIER.verify_log(folder, *_KEYS))
    finally:
        shutil.rmtree(folder)


def _resign(bench: _Bench, random: Random) -> bool:
    """Sign heads by a stranger's key, or by the one of ours whose time it was not."""
    heads = list(bench.log.heads)
    place = random.randrange(len(heads))
    size, signers = heads[place]
    wrong = _STRANGER if len(signers) > 1 else NEXT_SIGNER if signers[0] == SIGNER else SIGNER
    heads[place] = (size, (random.choice([wrong, _STRANGER]),))
    return bench.refuses_log(PaperLog(bench.log.records, heads))


def _add_posting(bench: _Bench, random: Random) -> bool:
    """Move money that nobody decided on, in a log that is signed rightly."""
    records = deepcopy(bench.log.records)
    posting = deepcopy(random.choice([record for record in records if record["event_type"] in _EFFECTS]))
    digits = random.randbytes(16).hex()
    posting["event_id"] = f"evt_{digits}"
    if "transfer_id" in posting["data"]:
        posting["subject"] = posting["data"]["transfer_id"] = f"tfr_{digits}"
    if random.randrange(2):
        posting["data"]["decision_id"] = random.choice([None, f"dec_{digits}"])
        posting["data"]["proposal_id"] = random.choice([None, f"prp_{digits}", posting["data"]["proposal_id"]])
    records.insert(random.randrange(len(records) + 1), posting)
    return bench.refuses_log(_with_heads(records, bench.log))


def _drop_decision(bench: _Bench, random: Random) -> bool:
    """Take the decision behind an act out of a log that is signed rightly."""
    records = deepcopy(bench.log.records)
    place = random.choice([place for place, record in enumerate(records) if record["event_type"] in _EFFECTS])
    del records[place - 1]
    return bench.refuses_log(_with_heads(records, bench.log))


def _with_heads(records: list[dict[str, Any]], log: PaperLog) -> PaperLog:
    """Sign at the same sizes; the key changes where these records say so."""
    rotation = make_rotation()["event_id"]
    changed_at = next(place for place, record in enumerate(records) if record["event_id"] == rotation)
    heads: list[tuple[int, tuple[CheckpointSigner, ...]]] = []
    for size in sorted({*(size for size, _ in log.heads if size < len(records)), len(records)}):
        is_first = not any(changed_at < other <= heads[-1][0] for other, _ in heads[-1:])
        after = (SIGNER, NEXT_SIGNER) if is_first else (NEXT_SIGNER,)
        heads.append((size, after if size > changed_at else (SIGNER,)))
    return PaperLog(records, heads)


def _flip(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _other(value: Any, random: Random) -> Any:
    if isinstance(value, int):
        return value + random.choice([-1, 1, 1000])
    if isinstance(value, str):
        return value + "x" if random.randrange(2) or not value else value[:-1]
    return "x"


_RECEIPT_ATTACKS: dict[str, Callable[[_Bench, Random], bool]] = {
    "flip": _flip_receipt,
    "cut": _cut_receipt,
    "drop": _drop_record,
    "swap": _swap_records,
    "proof": _change_proof,
    "value": _change_value,
    "checkpoint": _change_checkpoint,
    "foreign_key": _foreign_key,
    "signed_lie": _signed_lie,
}
_LOG_ATTACKS: dict[str, Callable[[_Bench, Random], bool]] = {
    "flip": _flip_file,
    "drop_file": _drop_file,
    "drop_line": _drop_line,
    "swap": _swap_lines,
    "repeat": _repeat_line,
    "truncate": _truncate,
    "fork": _fork,
    "other_tree": _other_tree,
    "resign": _resign,
    "posting": _add_posting,
    "no_decision": _drop_decision,
}
