"""Write a dataset: one JSONL file per kind and `scenarios.json`. Byte for byte the same for the same dataset."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson

from demo.generator import KINDS, Dataset

_JSON_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


def write_dataset(dataset: Dataset, folder: Path) -> None:
    """Write the files of a dataset into `folder`, made if missing; files of the same names are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        path = folder / f"{kind}.jsonl"
        with path.open("wb") as file:
            file.writelines(render_row(row) for row in dataset.records[kind])
    write_manifest(dataset, folder / "scenarios.json")


def write_manifest(dataset: Dataset, path: Path) -> None:
    """Write what is known of a dataset by construction: ids, amounts and times, nothing of a person."""
    manifest = orjson.dumps(dict(dataset.manifest), default=_plain, option=_JSON_OPTIONS | orjson.OPT_INDENT_2)
    path.write_bytes(manifest + b"\n")


def render_row(row: Mapping[str, Any]) -> bytes:
    """Write one record as a line of JSON."""
    return orjson.dumps(dict(row), default=_plain, option=_JSON_OPTIONS | orjson.OPT_APPEND_NEWLINE)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a record can't hold {type(value).__name__}")
