"""Take in a file of records: stored first, loaded then."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool

from domain.errors import InvalidInput, Unavailable
from domain.ids import make_id
from domain.roles import Role
from serving.edge.access import UsedServices, call_for
from serving.edge.deps import IngestRequest
from serving.edge.request_limits import BodyTooLarge
from serving.edge.sessions import SignedIn

router = APIRouter(tags=["ingest"])
Caller = Annotated[SignedIn, Depends(call_for(Role.ADMIN))]
INGEST_PATH = "/api/v1/ingest"
_FORMATS = {"application/x-ndjson": "jsonl", "application/jsonl": "jsonl", "text/csv": "csv"}


class UnknownFormat(InvalidInput):
    """Say that the upload is neither JSONL nor CSV."""

    code = "unknown_format"


class UploadNotStored(Unavailable):
    """Say that the upload could not be written."""

    code = "upload_not_stored"


@router.post(
    "/ingest",
    operation_id="ingestFile",
    openapi_extra={"requestBody": {"content": {"application/x-ndjson": {}, "text/csv": {}}, "required": True}},
)
async def ingest_file(
    request: Request,
    caller: Caller,
    services: UsedServices,
    kind: Annotated[str, Query(pattern=r"^[a-z_]{3,40}$", description="customers, accounts, cards, transactions, …")],
    file_format: Annotated[Literal["jsonl", "csv"] | None, Query(alias="format")] = None,
) -> dict[str, Any]:
    """Load records. Idempotent by record id; a bad row goes to quarantine with line and reason, and the rest goes on."""
    chosen = file_format or _FORMATS.get(request.headers.get("Content-Type", "").partition(";")[0].strip().lower())
    if chosen is None:
        raise UnknownFormat("say what the file is: format=jsonl or format=csv, or Content-Type application/x-ndjson or text/csv")
    options = services.deps.options
    stored = options.ingest_dir / f"{make_id('ing', services.deps.clock.now())}.{chosen}"
    try:
        await _store(request.stream(), stored, limit_bytes=options.max_ingest_bytes)
        asked = IngestRequest(caller.tenant_id, caller.operator_id, kind, stored, chosen)
        report = await run_in_threadpool(services.deps.start_ingest, asked)
    finally:
        # The raw rows hold plain personal values; what is worth keeping is in the vault and in quarantine.
        await run_in_threadpool(_remove, stored)
    services.index.forget(caller.tenant_id)
    return dict(report)


async def _store(chunks: AsyncIterator[bytes], path: Path, *, limit_bytes: int) -> None:
    size = 0
    try:
        with await run_in_threadpool(_create, path) as stream:
            async for chunk in chunks:
                size += len(chunk)
                if size > limit_bytes:
                    raise BodyTooLarge(f"the file is larger than {limit_bytes:,} bytes: split it")
                await run_in_threadpool(stream.write, chunk)
    except OSError as error:
        raise UploadNotStored(
            f"the upload could not be stored ({error.strerror}): free some disk space, then try again"
        ) from error
    if size == 0:
        raise InvalidInput("the file is empty", code="empty_file")


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600, exist_ok=False)
    return path.open("wb")
