"""An uploaded file on its way to the jobs process: stored under a name of ours, gone when its request ends."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from domain.errors import InvalidInput, Unavailable
from domain.ids import make_id
from ledger.reconciliation.statement import MAX_FILE_BYTES
from serving.edge.request_limits import BodyTooLarge
from serving.edge.services import Services

UPLOAD_PATHS = frozenset({"/api/v1/statements", "/api/v1/settlement/batches"})
"""Routes whose body is a file, counted here and not by the limit of ordinary requests."""


class UploadNotStored(Unavailable):
    """Say that the upload could not be written."""

    code = "upload_not_stored"


@asynccontextmanager
async def stored_upload(request: Request, services: Services, suffix: str) -> AsyncIterator[str]:
    """Store the body and yield its file name; the file is removed at the end, because it holds plain personal values.

    Raises: BodyTooLarge, UploadNotStored, InvalidInput for an empty body.
    """
    name = f"{make_id('ing', services.deps.clock.now())}.{suffix}"
    path = services.deps.options.ingest_dir / name
    try:
        await _store(request.stream(), path)
        yield name
    finally:
        await run_in_threadpool(_remove, path)


async def _store(chunks: AsyncIterator[bytes], path: Path) -> None:
    size = 0
    try:
        with await run_in_threadpool(_create, path) as stream:
            async for chunk in chunks:
                size += len(chunk)
                if size > MAX_FILE_BYTES:
                    raise BodyTooLarge(f"the file is larger than {MAX_FILE_BYTES:,} bytes: split it")
                await run_in_threadpool(stream.write, chunk)
    except OSError as error:
        raise UploadNotStored(
            f"the upload could not be stored ({error.strerror}): free some disk space, then try again"
        ) from error
    if size == 0:
        raise InvalidInput("the file is empty", code="empty_file")


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600, exist_ok=False)
    return path.open("wb")


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
