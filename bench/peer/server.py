"""A throw-away embedded server with the product's settings, and what can be read of it from outside."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage.embedded import SUPERUSER, EmbeddedPostgres

_SETTINGS_SHOWN = (
    "server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size", "wal_sync_method",
    "data_checksums", "wal_level", "archive_mode",
)  # fmt: skip
_PAGE_BYTES = 8192
_PROBES = 60


@dataclass(slots=True)
class CpuMeter:
    """Hold the processor time that was read, once the body has ended."""

    cpu_us: float = 0.0


@dataclass(frozen=True, slots=True)
class BenchServer:
    """Hold a running server. `folder` is the run's own; the server's data lies on its file system."""

    embedded: EmbeddedPostgres
    folder: Path

    def environment(self, user: str = SUPERUSER, password: str | None = None, **more: str) -> dict[str, str]:
        """Return the environment of a libpq program that connects as `user`."""
        secret = self.embedded.read_superuser_password() if password is None else password
        address = self.embedded.address
        named = {"PGHOST": address.host, "PGPORT": str(address.port), "PGUSER": user, "PGPASSWORD": secret, **more}
        return {**{name: value for name, value in os.environ.items() if not name.startswith("PG")}, **named}

    def run_sql(self, text: str, dbname: str = "postgres", *, files: Sequence[Path] = ()) -> str:
        """Run files, then `text`, with psql as the superuser; return what it prints. Raises: RuntimeError."""
        command = [str(self.embedded.files.bin_dir / "psql"), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", dbname]
        command += [part for file in files for part in ("-f", str(file))]
        command += ["-c", text] if text else []
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment())
        if done.returncode != 0:
            raise RuntimeError(f"psql: {done.stderr.strip()[:2000]}")
        return done.stdout.strip()

    def recreate(self, dbname: str) -> None:
        """Make an empty database of this name."""
        self.run_sql(f"DROP DATABASE IF EXISTS {dbname} WITH (FORCE)")
        self.run_sql(f"CREATE DATABASE {dbname}")

    def read_settings(self) -> Mapping[str, str]:
        """Return the settings that a durable measurement stands on."""
        names = ", ".join(f"'{name}'" for name in _SETTINGS_SHOWN)
        rows = self.run_sql(f"SELECT name, CURRENT_SETTING(name) FROM pg_settings WHERE name IN ({names}) ORDER BY name")
        return dict(row.split("|", 1) for row in rows.splitlines())

    @contextmanager
    def metering(self) -> Iterator[CpuMeter]:
        """Read the processor time of the backends that begin and end within the body."""
        meter = CpuMeter()
        before = self._ended_backends_cpu_us()
        yield meter
        meter.cpu_us = self._ended_backends_cpu_us() - before

    def _ended_backends_cpu_us(self) -> float:
        # Source: proc(5), cutime and cstime of the postmaster.
        # A backend that was told to end needs a moment to be reaped.
        time.sleep(0.3)
        fields = Path(f"/proc/{self.embedded.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[13]) + int(fields[14])) * 1e6 / os.sysconf("SC_CLK_TCK")

    def probe_fdatasync_us(self) -> float:
        """Return the median of some fdatasync calls of one page on the server's file system."""
        with tempfile.NamedTemporaryFile(dir=self.folder) as file:
            os.pwrite(file.fileno(), bytes(_PAGE_BYTES * 16), 0)
            os.fsync(file.fileno())
            took: list[float] = []
            for number in range(_PROBES):
                os.pwrite(file.fileno(), bytes([number % 251]) * _PAGE_BYTES, _PAGE_BYTES * (number % 16))
                started = time.perf_counter()
                os.fdatasync(file.fileno())
                took.append((time.perf_counter() - started) * 1e6)
        return round(statistics.median(took), 1)


@contextmanager
def start_server() -> Iterator[BenchServer]:
    """Start a server in a folder of its own and remove both afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tg-bench-"))
    embedded = EmbeddedPostgres(home=folder / "postgres", secrets_dir=folder / "secrets")
    try:
        embedded.start()
        yield BenchServer(embedded, folder)
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)
