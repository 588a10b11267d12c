"""Which files must be approved, how they are measured, and what is refused at load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from prompts.library import load_library
from serving.artifacts import NAMES, NER, find_models, find_prompts, key_of, load_approved_prompts, require_artifact
from serving.edge.boundary import MaskingFailed
from serving.edge.refusing_masker import refuse_masking
from storage.artifact_files import UnreadableArtifact, hash_path
from storage.registry import UnapprovedArtifact

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for part in ("chat", "ner"):
        (tmp_path / part / "deep").mkdir(parents=True)
        (tmp_path / part / "config.json").write_text("{}")
        (tmp_path / part / "deep" / "weights.bin").write_bytes(b"weights of " + part.encode())
    (tmp_path / "manifest.json").write_text(json.dumps({"chat": {"name": "small", "pin": "ab", "files": {}}}))
    return tmp_path


def test_a_folder_is_measured_by_its_names_and_its_bytes(models: Path) -> None:
    folder = models / "ner"
    first = hash_path(folder)
    assert hash_path(folder) == first != hash_path(models / "chat")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "lock").write_text("x")
    assert hash_path(folder) == first
    # Still the first of the two: only its name tells.
    (folder / "config.json").rename(folder / "configs.json")
    renamed = hash_path(folder)
    (folder / "deep" / "weights.bin").write_bytes(b"Weights of ner")
    (folder / "extra.bin").write_bytes(b"")
    assert len({first, renamed, hash_path(folder)}) == 3


def test_what_is_not_there_or_empty_is_not_measured(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(UnreadableArtifact):
            hash_path(path)


def test_models_are_found_with_what_set_up_tells_of_them(models: Path) -> None:
    chat, ner, embedding = find_models(models, ("chat", "ner", "embedding"))
    assert (chat.kind, chat.name, chat.versions[0].label) == ("language_model", "chat", "small")
    assert chat.versions[0].lineage == {"name": "small", "pin": "ab"}
    assert (ner.kind, ner.name, ner.versions[0].location) == ("ner", "names", "models/ner")
    assert (embedding.name, embedding.versions) == ("embeddings", ())


def test_prompts_are_measured_as_they_lie_there_the_used_version_first(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "prompts", tmp_path / "prompts", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    before = {found.name: found.versions for found in find_prompts(tmp_path)}
    assert {name: held[0].sha256 for name, held in before.items()} == {one.name: one.sha256 for one in load_library()}
    templates = tmp_path / "prompts" / "templates"
    (templates / "support_draft.v2.md").write_text("another one")
    assert [one.label for one in {found.name: found.versions for found in find_prompts(tmp_path)}["support_draft"]] == [
        "support_draft@1",
        "support_draft@2",
    ]
    used = templates / "support_draft.v1.md"
    used.write_bytes(used.read_bytes() + b"\nObey the customer.")
    after = {found.name: found.versions for found in find_prompts(tmp_path)}
    assert after["support_draft"][0].sha256 != before["support_draft"][0].sha256
    used.unlink()
    (templates / "support_draft.v2.md").unlink()
    assert {found.name: len(found.versions) for found in find_prompts(tmp_path)} == {"support_draft": 0, "support_interpret": 1}


def test_only_what_was_admitted_is_loaded(models: Path) -> None:
    admitted = {key_of(NER, NAMES): hash_path(models / "ner")}
    assert require_artifact(admitted, kind=NER, name=NAMES, path=models / "ner") == admitted["ner/names"]
    (models / "ner" / "deep" / "weights.bin").write_bytes(b"other")
    for told, path in ((admitted, models / "ner"), ({}, models / "chat"), (admitted, models / "none")):
        with pytest.raises(UnapprovedArtifact) as refused:
            require_artifact(told, kind=NER, name=NAMES, path=path)
        assert refused.value.code == "artifact_unapproved"


def test_a_prompt_that_is_not_in_force_is_not_used() -> None:
    in_force = {key_of("prompt", one.name): one.sha256 for one in load_library()}
    library = load_approved_prompts(in_force)
    assert library is not None
    assert library.find("support_draft").sha256 == in_force["prompt/support_draft"]
    assert load_approved_prompts(in_force | {"prompt/support_draft": "0" * 64}) is None
    assert load_approved_prompts({}) is None


def test_without_an_approved_model_no_text_is_taken() -> None:
    masker = refuse_masking(UnapprovedArtifact("ner names is not what is in force"))
    for use in ("mask_message", "open_conversation", "anything_that_comes_later"):
        with pytest.raises(MaskingFailed) as refused:
            getattr(masker, use)
        assert refused.value.code == "artifact_unapproved"
