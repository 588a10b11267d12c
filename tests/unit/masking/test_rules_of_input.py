"""What is no text is refused with a place, and what no recognizer finds stops the start."""

from __future__ import annotations

from pathlib import Path

import pytest
from presidio_analyzer import RecognizerResult

from masking.classes import PiiClass
from masking.detection import ClassWithoutRecognizer, Detection, Detector
from masking.input_text import MAX_TEXT_BYTES, NotText, TextTooLong, decode_text, require_text
from masking.keys import FileKeyProvider, TenantKeyMissing
from masking.ner import NerModel, NerModelUnusable
from masking.recognizers import PatternsRecognizer, TokenShapeRecognizer
from masking.writing import Writer, WritingFailed


def test_text_limits() -> None:
    assert require_text("a" * MAX_TEXT_BYTES)
    with pytest.raises(TextTooLong, match="100001 bytes"):
        require_text("a" * (MAX_TEXT_BYTES + 1))
    with pytest.raises(TextTooLong):
        require_text("é" * (MAX_TEXT_BYTES // 2 + 1))
    with pytest.raises(TextTooLong):
        decode_text(b"\xff" * (MAX_TEXT_BYTES + 1))


@pytest.mark.parametrize(
    ("content", "place"),
    [(b"ab\x00cd", "position 2"), (b"\x7fELF\x02", "position 0"), (b"ok \xff\xfe", "byte 3"), (b"PK\x03\x04", "position 2")],
)
def test_binary_is_refused_with_its_place(content: bytes, place: str) -> None:
    with pytest.raises(NotText, match=place):
        decode_text(content)


def test_lone_surrogate_is_refused() -> None:
    with pytest.raises(NotText, match="position 3"):
        require_text("ab \ud800")


@pytest.mark.parametrize("text", ["", "a\tb\r\n", "emoji 4️⃣2️⃣ 👩‍👩‍👧", "שלום", "\u200bzero\u200dwidth", "e\u0301"])
def test_odd_but_honest_text_passes(text: str) -> None:
    assert require_text(text) == text


def test_a_class_without_recognizer_stops_the_start() -> None:
    with pytest.raises(ClassWithoutRecognizer, match="PERSON"):
        Detector([TokenShapeRecognizer(), PatternsRecognizer(())])
    with pytest.raises(ClassWithoutRecognizer, match="LITERAL"):
        Detector([PatternsRecognizer(())])


def test_a_missing_or_changed_name_model_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(NerModelUnusable, match="no name model"):
        NerModel(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(NerModelUnusable, match="hash differs"):
        NerModel(tmp_path, sha256="0" * 64)
    with pytest.raises(NerModelUnusable, match="cannot load"):
        NerModel(tmp_path)


def test_a_value_without_token_writes_nothing_and_tells_nothing() -> None:
    detection = Detection(5, 10, PiiClass.PERSON, "model")
    with pytest.raises(WritingFailed) as caught:
        Writer().write("Dear Marta,", [detection], {})
    assert "Marta" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert Writer().write("Dear Marta,", [detection], {(PiiClass.PERSON, "Marta"): "<X>"}) == "Dear <X>,"


def test_keys_come_from_files_of_mode_0600_and_show_in_no_repr(tmp_path: Path) -> None:
    provider = FileKeyProvider(tmp_path)
    with pytest.raises(TenantKeyMissing, match="no vault key"):
        provider.tenant_keys("demo")
    keys = provider.ensure_tenant_keys("demo")
    assert (tmp_path / "vault_demo.v1.key").stat().st_mode & 0o777 == 0o600
    assert FileKeyProvider(tmp_path).tenant_keys("demo") == keys
    assert keys.token.hex() not in repr(keys)
    assert str(keys.token) not in repr(keys)
    assert len({keys.token, keys.fingerprint, keys.cache, keys.seal, keys.wraps[1]}) == 5
    assert provider.ensure_tenant_keys("demo-2").token != keys.token


def test_results_of_presidio_are_what_we_build_on() -> None:
    result = RecognizerResult("PERSON", 0, 1, 0.5, recognition_metadata={"known_token": "t"})
    assert result.recognition_metadata["known_token"] == "t"
