"""Serve an ASGI application on a private Unix socket, and on TCP where people reach it."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uvicorn
from fastapi import FastAPI

from domain.errors import SetupError
from serving.log_guard import OUTPUT_GUARD, guard_standard_logging

_GRACE_S = 4
_PARENT_POLL_S = 1.0
_BACKLOG = 256


class SystemClock:
    """Read the machine's clock. The only implementation of `domain.clock.Clock` outside of tests."""

    def now(self) -> datetime:
        """Return the present in UTC."""
        return datetime.now(UTC)


def set_up_logging(process: str) -> None:
    """Write JSON lines to standard error: event names and ids, never a text that a person or a model wrote."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            OUTPUT_GUARD.clean_event,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=process)
    guard_standard_logging()


def serve_app(app: FastAPI, *, socket_path: Path, tcp: tuple[str, int] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; open requests get a few seconds to end. Raises: SetupError when a socket can't be had."""
    sockets = [_open_unix(socket_path), *([_open_tcp(*tcp)] if tcp else [])]
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=64 * 1024,
    )
    threading.Thread(target=_end_with_parent, daemon=True).start()
    uvicorn.Server(config).run(sockets=list(sockets))


def _end_with_parent() -> None:
    """Leave when the supervisor is gone, whatever still hangs: nothing may outlive it."""
    supervisor = os.getppid()
    while os.getppid() == supervisor:
        time.sleep(_PARENT_POLL_S)
    time.sleep(_GRACE_S + _PARENT_POLL_S)
    os._exit(1)


def _open_unix(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old_mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        raise SetupError(f"{path} cannot be opened: {error.strerror}", code="socket_failed") from error
    finally:
        os.umask(old_mask)
    listener.listen(_BACKLOG)
    return listener


def _open_tcp(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise SetupError(f"{host}:{port} cannot be used: {error.strerror}", code="port_taken") from error
    listener.listen(_BACKLOG)
    return listener


def run_process(name: str, main: object) -> None:
    """Run a process's main function; a fault of set-up is one clear line and exit 1, so that the supervisor's log shows it."""
    set_up_logging(name)
    try:
        assert callable(main)
        main()
    except SetupError as error:
        sys.stderr.write(f"{name}: {error.message} [{error.code}]\n")
        sys.exit(1)
