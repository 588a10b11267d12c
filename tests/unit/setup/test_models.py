"""Only pinned bytes become a model, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tools.setup import models
from tools.setup.failures import HashMismatch
from tools.setup.place import Place
from tools.setup.python_env import lock_entry
from tools.setup.stamps import write_stamp

ROOT = Path(__file__).parents[3]
WEIGHTS = b"not really weights"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A checkout whose one model is a small package that lies unpacked in the scratch folder already."""
    place = Place(root=tmp_path, var=tmp_path / "var")
    place.requirements.mkdir()
    (place.requirements / "models.lock").write_text("tiny==1.0 \\\n    --hash=sha256:00\n")
    pin = {
        "name": "tiny",
        "source": "tiny 1.0",
        "licence": "CC-BY-4.0",
        "attribution": "Tiny by Somebody, CC BY 4.0.",
        "package": "tiny",
        "conversion": "none",
        "files": {"tiny/weights.bin": {"as": "model.bin", "sha256": hashlib.sha256(WEIGHTS).hexdigest()}},
        "weights": {"file": "model.bin", "sha256": hashlib.sha256(WEIGHTS).hexdigest()},
    }
    pins = tmp_path / "models.json"
    pins.write_text(json.dumps({"ner": pin}))
    read_pin = models.read_pin
    monkeypatch.setattr(models, "read_pin", lambda kind: read_pin(kind, pins))
    return place


def unpack(place: Place, content: bytes) -> None:
    folder = place.scratch / "tiny"
    (folder / "tiny").mkdir(parents=True, exist_ok=True)
    (folder / "tiny" / "weights.bin").write_bytes(content)
    write_stamp(folder, {"entry": lock_entry(place.requirements / "models.lock", "tiny")})


def test_a_model_is_installed_with_its_attribution_and_listed(place: Place) -> None:
    unpack(place, WEIGHTS)
    assert not models.is_current(place, "ner")
    models.install_model(place, "ner", log=place.logs / "setup.log")
    assert models.is_current(place, "ner")
    assert models.check_files(place, "ner") == []
    entry = json.loads((place.models / "manifest.json").read_text())["ner"]
    assert (entry["path"], entry["licence"], entry["reproduced"]) == ("ner", "CC-BY-4.0", True)
    assert "Somebody" in (place.models / "ner" / "ATTRIBUTION.md").read_text()


def test_other_bytes_under_the_pinned_name_are_refused_and_nothing_appears(place: Place) -> None:
    unpack(place, WEIGHTS + b"!")
    with pytest.raises(
        HashMismatch, match=r"tiny/weights.bin of tiny is not the file that this repository pins.*expected sha256"
    ):
        models.install_model(place, "ner", log=place.logs / "setup.log")
    assert not models.is_current(place, "ner")
    assert not (place.models / "ner").exists()


def test_a_refused_model_does_not_harm_the_one_in_use(place: Place) -> None:
    unpack(place, WEIGHTS)
    models.install_model(place, "ner", log=place.logs / "setup.log")
    unpack(place, b"")
    with pytest.raises(HashMismatch):
        models.install_model(place, "ner", log=place.logs / "setup.log")
    assert models.is_current(place, "ner")
    assert (place.models / "ner" / "model.bin").read_bytes() == WEIGHTS


def test_a_missing_or_cut_file_makes_the_model_stale_and_an_edited_one_is_found_by_its_hash(place: Place) -> None:
    unpack(place, WEIGHTS)
    models.install_model(place, "ner", log=place.logs / "setup.log")
    weights = place.models / "ner" / "model.bin"
    weights.write_bytes(WEIGHTS[:-1] + b"!")
    assert models.is_current(place, "ner")
    assert models.check_files(place, "ner") == ["model.bin"]
    weights.write_bytes(WEIGHTS[:-1])
    assert not models.is_current(place, "ner")
    weights.unlink()
    assert not models.is_current(place, "ner")
    assert models.check_files(place, "ner") == ["model.bin"]


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_manifest_means_no_models(place: Place, content: str) -> None:
    place.models.mkdir(parents=True)
    (place.models / "manifest.json").write_text(content)
    assert not models.is_current(place, "ner")


@pytest.mark.parametrize("kind", ["chat", "embedding", "ner"])
def test_the_real_pins_are_complete_and_locked(kind: str) -> None:
    pin = models.read_pin(kind, models.PINS)
    assert all(len(file.sha256) == 64 for file in pin.files)
    assert len(pin.weights_sha256) == 64
    assert "--hash=sha256:" in lock_entry(ROOT / "requirements" / "models.lock", pin.package)


def test_the_attribution_that_cc_by_asks_for_is_kept() -> None:
    text = models.read_pin("ner", models.PINS).attribution
    for part in ("National Design Studio", "CC BY 4.0", "creativecommons.org/licenses/by/4.0", "Changed here"):
        assert part in text
