"""Which files must be approved before a process may use them, and the check that each process makes of what it loads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import structlog

from prompts.errors import BrokenPromptFile
from prompts.library import PROMPT_FILE, PromptLibrary, load_library
from storage.artifact_files import UnreadableArtifact, hash_path
from storage.registry import UnapprovedArtifact
from storage.registry_start import Found, FoundVersion

_LOG = structlog.get_logger("tellergate.artifacts")
PROMPT = "prompt"
LANGUAGE_MODEL = "language_model"
NER = "ner"
CHAT = "chat"
EMBEDDINGS = "embeddings"
NAMES = "names"
_MODELS = {
    # Registry name and kind, by the folder below the models' own and by the part of set-up's manifest, which are the same word.
    "chat": (LANGUAGE_MODEL, CHAT),
    "embedding": (LANGUAGE_MODEL, EMBEDDINGS),
    "ner": (NER, NAMES),
}
_TOLD = ("name", "source", "pin", "licence", "attribution")


def key_of(kind: str, name: str) -> str:
    """Return the name under which processes are told what was admitted."""
    return f"{kind}/{name}"


def find_models(models_dir: Path, parts: Iterable[str]) -> tuple[Found, ...]:
    """Measure the models' folders; a part is `chat`, `embedding` or `ner`. What cannot be read is there with no version."""
    manifest = _read_json(models_dir / "manifest.json")
    return tuple(_find_model(models_dir, part, manifest.get(part)) for part in parts)


def find_prompts(root_dir: Path) -> tuple[Found, ...]:
    """Measure every prompt file as it lies there; of each name the version comes first that the release uses."""
    folder = root_dir / "prompts"
    in_use = _read_json(folder / "manifest.json").get("production", {})
    by_name: dict[str, list[tuple[int, FoundVersion]]] = {name: [] for name in in_use}
    for path in sorted((folder / "templates").glob("*.md")):
        match = PROMPT_FILE.fullmatch(path.name)
        if match is not None:
            version = int(match["version"])
            label, location = f"{match['name']}@{version}", f"prompts/templates/{path.name}"
            by_name.setdefault(match["name"], []).append((version, FoundVersion(label, hash_path(path), location)))
    return tuple(
        Found(PROMPT, name, tuple(one for _, one in sorted(held, key=lambda pair: (pair[0] != in_use.get(name), -pair[0]))))
        for name, held in sorted(by_name.items())
    )


def require_artifact(admitted: Mapping[str, str], *, kind: str, name: str, path: Path) -> str:
    """Measure what is about to be loaded and return its hash. Raises: UnapprovedArtifact when it is not what was admitted."""
    try:
        found = hash_path(path)
    except UnreadableArtifact as error:
        raise UnapprovedArtifact(f"{kind} {name}: {error.message}") from error
    if admitted.get(key_of(kind, name)) != found:
        raise UnapprovedArtifact(
            f"{kind} {name} ({found[:12]}) is not what is in force: ./tellergate incidents list says what to do"
        )
    return found


def load_approved_prompts(admitted: Mapping[str, str]) -> PromptLibrary | None:
    """Return the prompts with the versions that are in force; None, which is logged, where their files are not there."""
    approved = {key.removeprefix(f"{PROMPT}/"): sha256 for key, sha256 in admitted.items() if key.startswith(f"{PROMPT}/")}
    try:
        return load_library().pin(approved)
    except BrokenPromptFile as error:
        _LOG.error("prompts_refused", reason=error.message, code=UnapprovedArtifact.code)
        return None


def _find_model(models_dir: Path, part: str, told: object) -> Found:
    kind, name = _MODELS[part]
    lineage: dict[str, Any] = {key: told[key] for key in _TOLD if key in told} if isinstance(told, dict) else {}
    try:
        sha256 = hash_path(models_dir / part)
    except UnreadableArtifact:
        return Found(kind, name, ())
    label = str(lineage.get("name") or part)
    return Found(kind, name, (FoundVersion(label, sha256, f"models/{part}", lineage),))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}
