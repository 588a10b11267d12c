"""The file of an archived month: CSV with all columns, gzip, beside it what it must hold. Written whole, and read back."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from domain.errors import BrokenInvariant

_CHUNK_BYTES = 1024 * 1024


class ArchiveFileWrong(BrokenInvariant):
    """Say that a file of an archived month is not what was written, or does not hold what the part held."""

    code = "archive_file_wrong"


@dataclass(frozen=True, slots=True)
class TenantShare:
    """Hold what a tenant has in a file: how many transfers, and their amounts summed over all currencies (a checksum)."""

    tenant_id: str
    transfers: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Hold what stands beside a file. `month`: `YYYY-MM`; `sha256`: of the compressed file."""

    month: str
    file: str
    sha256: str
    transfers: int
    shares: tuple[TenantShare, ...]


def write_archive_file(path: Path, chunks: Iterable[bytes | bytearray | memoryview]) -> str:
    """Compress CSV into a new file (0600) and return its SHA-256. Raises: FileExistsError, OSError."""
    with path.open("xb") as raw:
        path.chmod(0o600)
        # Without a name or time of its own, so that the same part gives the same file.
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as packed:
            for chunk in chunks:
                packed.write(chunk)
        raw.flush()
    return digest_file(path)


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as raw:
        while chunk := raw.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def read_shares(path: Path) -> tuple[TenantShare, ...]:
    """Read a file through and add up what it holds. Raises: ArchiveFileWrong for a file that can't be read."""
    counts: defaultdict[str, int] = defaultdict(int)
    sums: defaultdict[str, int] = defaultdict(int)
    try:
        with gzip.open(path, "rb") as packed, io.TextIOWrapper(packed, encoding="utf-8", newline="") as text:
            for row in csv.DictReader(text):
                counts[row["tenant_id"]] += 1
                sums[row["tenant_id"]] += int(row["amount_minor"])
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise ArchiveFileWrong(f"{path} can't be read back: {type(error).__name__}") from error
    return tuple(TenantShare(tenant_id, counts[tenant_id], sums[tenant_id]) for tenant_id in sorted(counts))


def require_file(path: Path, *, sha256: str) -> None:
    """Check that a file is the one on record. Raises: ArchiveFileWrong."""
    if not path.is_file():
        raise ArchiveFileWrong(f"{path} is not there")
    if digest_file(path) != sha256:
        raise ArchiveFileWrong(f"{path} is not the file that was written: its SHA-256 differs")


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write what a file must hold beside it."""
    with path.open("x", encoding="utf-8") as stream:
        path.chmod(0o600)
        stream.write(json.dumps(asdict(manifest), indent=2) + "\n")
