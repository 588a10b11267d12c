"""What each caller asked and heard, in a file of his own that outlives every process: the one witness against the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from bench.crash.workload import Sort, Unit
from domain.transfer import Balancing, ResultCode, TransferCode, TransferKind, TransferRequest, TransferResult

_REQUEST_FIELDS = tuple(one.name for one in fields(TransferRequest))
_RESULT_FIELDS = tuple(one.name for one in fields(TransferResult))


class Diary:
    """Append lines to one caller's file; each is with the operating system before the next step."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("ab", buffering=0)

    def note_asked(self, number: int, unit: Unit, decision_id: UUID | None) -> None:
        """Write down what will be sent, before it is."""
        self._write(
            asked=number, sort=unit.sort, allowed=unit.allowed, decision_id=decision_id and decision_id.hex,
            requests=[_dump(request, _REQUEST_FIELDS) for request in unit.requests],
        )  # fmt: skip

    def note_answered(self, number: int, answers: Sequence[TransferResult]) -> None:
        """Write down what was answered."""
        self._write(answered=number, answers=[_dump(answer, _RESULT_FIELDS) for answer in answers])

    def note_in_doubt(self, number: int, reason: str) -> None:
        """Write down that no answer came and the unit goes again with the same ids."""
        self._write(in_doubt=number, reason=reason)

    def note_lie(self, number: int, reason: str) -> None:
        """Write down that something moved although the answer was that nothing had."""
        self._write(lie=number, reason=reason)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, **line: Any) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")


@dataclass(slots=True)
class Asked:
    """Hold a unit with everything that was heard about it."""

    requests: list[TransferRequest]
    sort: Sort
    allowed: bool
    decision_id: UUID | None
    answers: list[TransferResult] | None = None
    doubts: list[str] = field(default_factory=list)
    """Why it went again, once for each time."""


@dataclass(slots=True)
class History:
    """Read diaries line by line as they grow. Units by (caller, number)."""

    folder: Path
    units: dict[tuple[str, int], Asked] = field(default_factory=dict)
    lies: list[str] = field(default_factory=list)
    _read_to: dict[str, int] = field(default_factory=dict)

    def read_on(self) -> None:
        """Read what was written since."""
        for path in sorted(self.folder.glob("*.diary")):
            with path.open("rb") as file:
                file.seek(self._read_to.get(path.stem, 0))
                for line in file:
                    self._take(path.stem, json.loads(line))
                self._read_to[path.stem] = file.tell()

    def _take(self, caller: str, line: Mapping[str, Any]) -> None:
        if "asked" in line:
            decision_id = None if line["decision_id"] is None else UUID(line["decision_id"])
            requests = [_load_request(request) for request in line["requests"]]
            self.units[caller, line["asked"]] = Asked(requests, line["sort"], line["allowed"], decision_id)
        elif "answered" in line:
            self.units[caller, line["answered"]].answers = [_load_result(answer) for answer in line["answers"]]
        elif "in_doubt" in line:
            self.units[caller, line["in_doubt"]].doubts.append(line["reason"])
        else:
            self.lies.append(f"{caller} unit {line['lie']}: {line['reason']}")


def _dump(value: object, names: Sequence[str]) -> list[Any]:
    return [_plain(getattr(value, name)) for name in names]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.hex if isinstance(value, UUID) else value


def _load_request(values: Sequence[Any]) -> TransferRequest:
    read = dict(zip(_REQUEST_FIELDS, values, strict=True))
    return TransferRequest(
        **read
        | {
            "transfer_id": UUID(read["transfer_id"]),
            "kind": TransferKind(read["kind"]),
            "code": TransferCode(read["code"]),
            "occurred_at": datetime.fromisoformat(read["occurred_at"]),
            "target_id": read["target_id"] and UUID(read["target_id"]),
            "hold_expires_at": read["hold_expires_at"] and datetime.fromisoformat(read["hold_expires_at"]),
            "balancing": read["balancing"] and Balancing(read["balancing"]),
        }
    )


def _load_result(values: Sequence[Any]) -> TransferResult:
    read = dict(zip(_RESULT_FIELDS, values, strict=True))
    return TransferResult(
        **read
        | {
            "transfer_id": UUID(read["transfer_id"]),
            "code": ResultCode(read["code"]),
            "refused_code": read["refused_code"] and ResultCode(read["refused_code"]),
            "recorded_at": read["recorded_at"] and datetime.fromisoformat(read["recorded_at"]),
        }
    )
