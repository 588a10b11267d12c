"""What a training run leaves behind: files named by their content, each with its lineage, and candidates for the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from domain.canonical import canonical_bytes, digest_of
from domain.errors import Unavailable
from gates.score.trees import TreeTable, generate_code
from storage.registry import Artifact

FORMAT_OF_LINEAGE = "tellergate-lineage/1"


class NotWritten(Unavailable):
    """Say which file could not be written."""

    code = "training_not_written"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Hold one trained thing: its content, the SHA-256 of its canonical bytes, and what it was made from and how well it does."""

    kind: str
    name: str
    version: str
    content: Mapping[str, Any]
    lineage: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """Return the hash of the file's bytes."""
        return digest_of(self.content)

    @property
    def file_name(self) -> str:
        """Return the name that follows from the content."""
        return f"{self.name}.{self.sha256[:16]}.json"

    def to_artifact(self, *, tenant_id: str, location: str, now: datetime) -> Artifact:
        """Return what the registry keeps of it: a candidate that nobody approved, in force nowhere."""
        return Artifact(
            tenant_id=tenant_id,
            kind=self.kind,
            name=self.name,
            version=f"{self.name}@{self.version}+{self.sha256[:12]}",
            sha256=self.sha256,
            location=location,
            lineage=dict(self.lineage),
            created_at=now,
        )


def write_candidate(folder: Path, candidate: Candidate) -> Path:
    """Write content, lineage and, for trees, their code. The same candidate writes the same bytes. Raises: NotWritten."""
    path = folder.joinpath(candidate.file_name)
    record = {"format": FORMAT_OF_LINEAGE, "artifact": candidate.file_name, "sha256": candidate.sha256, **candidate.lineage}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(canonical_bytes(candidate.content))
        path.with_suffix(".lineage.json").write_bytes(canonical_bytes(record))
        if candidate.content["format"] == "tellergate-trees/1":
            table = TreeTable.model_validate_json(canonical_bytes(candidate.content))
            path.with_suffix(".py").write_text(generate_code(table), encoding="utf-8")
    except OSError as error:
        raise NotWritten(f"cannot write to {folder}: {error.strerror}") from error
    return path
