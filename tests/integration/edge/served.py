"""An application on a real socket, in a thread: streams, lifespans and broken connections are the real ones."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import uvicorn

_WAIT_S = 10.0


class Served:
    """Serve an ASGI app on a Unix socket or a free port of this machine until `stop`."""

    def __init__(self, app: Any, *, uds: Path | None = None) -> None:
        where: dict[str, Any] = {"host": "127.0.0.1", "port": 0} if uds is None else {"uds": str(uds)}
        config = uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=1, **where)
        self._started = threading.Event()
        self._server = uvicorn.Server(config)
        startup = self._server.startup

        async def startup_then_tell(sockets: Any = None) -> None:
            await startup(sockets)
            self._started.set()

        self._server.startup = startup_then_tell  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        assert self._started.wait(_WAIT_S)

    @property
    def port(self) -> int:
        """Return the port that the system chose."""
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return port

    def stop(self) -> None:
        """Stop and wait. Idempotent."""
        self._server.should_exit = True
        self._thread.join(_WAIT_S)
        assert not self._thread.is_alive()
