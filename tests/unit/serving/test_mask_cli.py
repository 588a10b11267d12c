"""`mask` and `unmask`: lines in, lines out, nothing half done; what was masked here comes back byte for byte."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.errors import TellergateError
from masking.classes import PiiClass
from masking.detection import Detection
from masking.input_text import require_text
from masking.keys import TenantKeyMissing
from masking.known_values import KnownValueFinder
from masking.ner import NerModelUnusable
from masking.patterns import CHECKED_SCORE, find_patterns
from masking.tokens import find_tokens
from masking.vault import KnownValues
from serving.cli.local_masker import LocalMasker, load_local_masker
from serving.cli.local_vault import LocalVault, LocalVaultBroken, make_local_vault, open_local_vault
from serving.cli.mask import MaskOut, mask_lines, unmask_lines
from serving.cli.mask_workers import mask_in_processes


class CheckedValues:
    """Find token shapes, known values and checked patterns: the real finders, without the name model."""

    def detect(self, text: str, *, known_values: KnownValues | None = None, **_: Any) -> tuple[Detection, ...]:
        found = [Detection(match.start, match.end, PiiClass.LITERAL, "literal") for match in find_tokens(text)]
        if known_values is not None:
            hits = KnownValueFinder(known_values).find(text)
            found += [Detection(hit.start, hit.end, hit.known.pii_class, "known", hit.known.token) for hit in hits]
        hits_ = [hit for hit in find_patterns(text) if hit.score >= CHECKED_SCORE]
        found += [Detection(hit.start, hit.end, hit.pii_class, "pattern") for hit in hits_]
        kept: list[Detection] = []
        for one in sorted(found, key=lambda one: (one.start, -one.end)):
            if not kept or kept[-1].end <= one.start:
                kept.append(one)
        return tuple(kept)


@pytest.fixture
def vault(tmp_path: Path) -> LocalVault:
    return make_local_vault(tmp_path / "mask")


def _run(lines: bytes, vault: LocalVault | None) -> tuple[int, list[dict[str, Any]]]:
    masker = LocalMasker(CheckedValues(), vault.keys.token if vault else b"k" * 32)

    def run(requests: Any) -> Any:
        for key, request in requests:
            try:
                yield key, request if isinstance(request, TellergateError) else masker.mask(*request)
            except TellergateError as error:
                yield key, error

    out = io.BytesIO()
    code = mask_lines(io.BytesIO(lines), out, run, vault)
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def _line(**fields: Any) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def test_a_line_out_for_each_line_in_with_places_of_the_original(vault: LocalVault) -> None:
    text = "Zoë: card 4242 4242 4242 4242, tag BLUE77X"
    known = [{"class": "no such class", "value": "BLUE77X"}, {"class": "NAME", "value": ""}, {"value": None}, {"class": "DOB"}]
    code, (answer,) = _run(_line(id=7, text=text, known=known), vault)
    assert code == 0
    MaskOut.model_validate(answer)
    assert answer["id"] == 7
    assert [(text[one["start"] : one["end"]], one["class"], one["source"]) for one in answer["spans"]] == [
        ("4242 4242 4242 4242", "CARD", "pattern"),
        ("BLUE77X", "OTHER", "known"),
    ]
    assert answer["masked"].startswith("Zoë: card <CARD_")
    assert "BLUE77X" not in answer["masked"]


@pytest.mark.parametrize("text_id", [1, 2.5, "x", "ü\ud800", None, True])
def test_ids_come_back_as_they_were(text_id: Any, vault: LocalVault) -> None:
    _, (answer,) = _run(_line(id=text_id, text=""), vault)
    assert answer == {"id": text_id, "masked": "", "spans": []}


@pytest.mark.parametrize(
    ("line", "code", "has_id"),
    [
        (b"not json\n", "malformed_json", False),
        (b"[1]\n", "malformed_json", False),
        (b'{"id": 1, "id": 2, "text": ""}\n', "malformed_json", False),
        (b'\xff\xfe{"id": 1}\n', "malformed_json", False),
        (b'{"id": 1}\n', "invalid_line", True),
        (b'{"id": 1, "text": 5}\n', "invalid_line", True),
        (b'{"id": [1], "text": "a"}\n', "invalid_line", False),
        (b'{"id": 1, "text": "a", "known": "x"}\n', "invalid_line", True),
        (b'{"id": 1, "text": "a\\u0000b"}\n', "not_text", True),
        (b'{"id": 1, "text": "\\ud800"}\n', "not_text", True),
        (_line(id=1, text="a" * 100_001), "text_too_long", True),
        (_line(id=1, text="a" * 1_000_000), "text_too_long", True),
    ],
)
def test_a_bad_line_is_answered_and_the_stream_goes_on(line: bytes, code: str, has_id: bool, vault: LocalVault) -> None:
    exit_code, answers = _run(b"\n" + line + _line(id="next", text="fine"), vault)
    assert exit_code == 2
    assert [answer.get("error", {}).get("code") for answer in answers] == [code, None]
    assert answers[0]["error"]["line"] == 2
    assert ("id" in answers[0]) is has_id
    assert answers[1] == {"id": "next", "masked": "fine", "spans": []}


def test_a_line_of_many_megabytes_is_refused_without_being_held(vault: LocalVault) -> None:
    lines = b'{"id": 1, "text": "' + b"a" * 9_000_000 + b'"}\n' + _line(id=2, text="fine")
    code, answers = _run(lines, vault)
    assert code == 2
    assert answers[0]["error"]["code"] == "malformed_json"
    assert answers[1]["masked"] == "fine"


def test_what_was_masked_comes_back_byte_for_byte_but_for_secrets(vault: LocalVault, tmp_path: Path) -> None:
    texts = [
        "4242-4242-4242-4242 and 4242 4242 4242 4242",
        "the same card 4242424242424242\r\n\tand <PERSON_7f3a9k2m-q4>, <person_7f3a9k2m‑q4>",
        "mail A@B.example, a@b.example",
        "no value",
        "",
    ]
    _, answers = _run(b"".join(_line(id=number, text=text) for number, text in enumerate(texts)), vault)
    tokens = {
        match.token for answer in answers[:2] for match in find_tokens(answer["masked"]) if match.pii_class is PiiClass.CARD
    }
    assert len(tokens) == 1
    again = open_local_vault(tmp_path / "mask")
    out = io.BytesIO()
    lines = b"".join(_line(id=answer["id"], masked=answer["masked"]) for answer in answers)
    assert unmask_lines(io.BytesIO(lines), out, again, purpose="test") == 0
    assert [json.loads(line)["text"] for line in out.getvalue().splitlines()] == texts
    _, (secret,) = _run(_line(id=9, text="my PIN is 482195"), vault)
    assert open_local_vault(tmp_path / "mask").restore(secret["masked"], text_id="9") == ("my PIN is [secret removed]", ())
    kept = b"".join(path.read_bytes() for path in (tmp_path / "mask").iterdir())
    assert b"482195" not in kept
    assert b"4242424242424242" not in kept.translate(None, b" -")


def test_forged_damaged_and_foreign_tokens_give_nothing(vault: LocalVault, tmp_path: Path) -> None:
    _, (mine,) = _run(_line(id=1, text="mail a@b.example"), vault)
    token = mine["masked"].removeprefix("mail ")
    other = make_local_vault(tmp_path / "other")
    _, (foreign,) = _run(_line(id=1, text="mail c@d.example"), other)
    foreign_token = foreign["masked"].removeprefix("mail ")
    damaged = token.replace("EMAIL", "PHONE")
    again = open_local_vault(tmp_path / "mask")
    assert again.restore(f"say {token}!", text_id="x") == ("say a@b.example!", (token,))
    for wrong in (foreign_token, damaged, "<EMAIL_00000000-00>"):
        assert again.restore(f"say {wrong}", text_id="x") == ("say [unknown reference]", ())


def test_each_reveal_is_on_a_record_that_shows_changes(vault: LocalVault, tmp_path: Path) -> None:
    folder = tmp_path / "mask"
    _, answers = _run(_line(id=1, text="a@b.example") + _line(id=2, text="c@d.example"), vault)
    lines = b"".join(_line(id=answer["id"], masked=answer["masked"]) for answer in answers)
    unmask_lines(io.BytesIO(lines), io.BytesIO(), open_local_vault(folder), purpose="audit")
    record = folder / "reveals.jsonl"
    rows = [json.loads(line) for line in record.read_text().splitlines()]
    assert [(row["purpose"], len(row["tokens"])) for row in rows] == [("audit", 1), ("audit", 1)]
    assert open_local_vault(folder).find_broken_reveal() is None
    record.write_text("\n".join(json.dumps(row | {"purpose": "nothing"}) for row in rows) + "\n")
    assert open_local_vault(folder).find_broken_reveal() == 1
    record.write_text(json.dumps(rows[1]) + "\n")
    assert open_local_vault(folder).find_broken_reveal() == 1
    with pytest.raises(LocalVaultBroken, match="line 1"):
        open_local_vault(folder).require_whole_record()


def test_a_torn_or_very_long_record_of_reveals_is_read_or_told(vault: LocalVault, tmp_path: Path) -> None:
    now = datetime(2026, 3, 4, tzinfo=UTC)
    many = [f"<EMAIL_{number:08d}-00>" for number in range(80_000)]
    vault.note_reveal(many, actor="a", purpose="test", now=now)
    vault.note_reveal(["<EMAIL_00000000-00>"], actor="a", purpose="test", now=now)
    assert vault.find_broken_reveal() is None
    with (tmp_path / "mask" / "reveals.jsonl").open("a") as stream:
        stream.write('{"at": "2026')
    with pytest.raises(LocalVaultBroken, match="last line"):
        vault.note_reveal([], actor="a", purpose="test", now=now)


def test_the_token_of_a_secret_belongs_to_one_text(vault: LocalVault) -> None:
    _, answers = _run(_line(id=1, text="my PIN is 482195") + _line(id=2, text="his PIN is 4821"), vault)
    first, second = (next(find_tokens(answer["masked"])).token for answer in answers)
    assert first != second


def test_the_folder_is_closed_and_a_missing_key_or_broken_file_is_told(vault: LocalVault, tmp_path: Path) -> None:
    _run(_line(id=1, text="a@b.example"), vault)
    folder = tmp_path / "mask"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
    with pytest.raises(TenantKeyMissing):
        open_local_vault(tmp_path / "nowhere")
    (folder / "values.jsonl").write_text("broken\n")
    with pytest.raises(LocalVaultBroken, match="line 1"):
        open_local_vault(folder).restore("x", text_id="")


def test_nothing_is_kept_without_a_vault(tmp_path: Path) -> None:
    code, (answer,) = _run(_line(id=1, text="a@b.example"), None)
    assert code == 0
    assert answer["masked"].startswith("<EMAIL_")
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_missing_or_not_the_one_set_up_stops_before_any_answer(tmp_path: Path) -> None:
    with pytest.raises(NerModelUnusable, match="no name model"):
        load_local_masker(tmp_path, b"k" * 32)
    folder = tmp_path / "ner"
    folder.mkdir()
    for name in ("model.onnx", "tokenizer.json", "config.json"):
        (folder / name).write_text("{}")
    files = {name: {"sha256": "0" * 64} for name in ("model.onnx", "tokenizer.json")}
    (tmp_path / "manifest.json").write_text(json.dumps({"ner": {"files": files}}))
    with pytest.raises(NerModelUnusable, match="tokenizer"):
        load_local_masker(tmp_path, b"k" * 32)
    (tmp_path / "manifest.json").write_text(json.dumps({"ner": {"files": {"model.onnx": {"sha256": "0" * 64}}}}))
    with pytest.raises(NerModelUnusable, match="hash differs"):
        load_local_masker(tmp_path, b"k" * 32)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(NerModelUnusable, match="does not say"):
        load_local_masker(tmp_path, b"k" * 32)


def test_processes_that_cannot_load_tell_why(tmp_path: Path) -> None:
    with pytest.raises(NerModelUnusable, match="no name model"):
        mask_in_processes(tmp_path, b"k" * 32, 2)


def test_a_text_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(TellergateError):
        require_text("\0")
