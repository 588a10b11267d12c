"""How much is lost with a disk (RPO), how long until it is back (RTO), and what does the archive cost those who post?

Needs no running service: it makes a cluster in a folder of its own. The loss at little load is measured at its worst moment,
just before a log file would have been closed. Options: --seconds N (one pgbench run), --rounds N, --scale N (pgbench's; 15 MB
each), --archive-timeout N (seconds; the product's default is 60), --json.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psycopg

from bench.report import Figure, print_report
from storage.backup.archiving import DEFAULT_TIMEOUT_S
from storage.backup.catalog import choose_backup, wal_dir_of
from storage.backup.create import BackupMade, BackupOrder, create_backup
from storage.backup.log_source import RecoveryOrder
from storage.backup.recovery import Recovered, recover
from storage.backup.targets import Latest
from storage.backup.wal_archive import read_archive
from storage.embedded import EmbeddedPostgres
from storage.setup import set_up_database

_RECOVERY_KEY = b"a recovery key of the benchmark"
_CLIENTS = 8


@dataclass(slots=True)
class Site:
    """Hold one cluster and its backup folder. `archiving` says how the next start goes."""

    folder: Path
    archive_timeout_s: int
    server: EmbeddedPostgres = field(init=False)

    def __post_init__(self) -> None:
        self.layout(archiving=True)

    def layout(self, *, archiving: bool) -> None:
        """Lay the server out; it must be stopped."""
        self.server = EmbeddedPostgres(
            home=self.folder / "var" / "pg",
            secrets_dir=self.folder / "var" / "secrets",
            wal_dir=wal_dir_of(self.backup_dir) if archiving else None,
            archive_timeout_s=self.archive_timeout_s,
        )

    @property
    def backup_dir(self) -> Path:
        """Return the folder that survives."""
        return self.folder / "backup"

    def back_up(self) -> BackupMade:
        """Make a base backup of the running server."""
        order = BackupOrder(
            backup_dir=self.backup_dir,
            var_dir=self.folder / "var",
            key_files=(),
            bin_dir=self.server.files.bin_dir,
            address=self.server.address.with_dbname("tellergate"),
            superuser="postgres",
            product_version="bench",
            keep=1,
            password=self.server.read_superuser_password(),
            recovery_key=_RECOVERY_KEY,
        )
        return create_backup(order)

    def pgbench(self, *arguments: str) -> str:
        """Run pgbench against the cluster's maintenance database; return what it printed."""
        command = [str(self.server.files.bin_dir / "pgbench"), "-h", self.server.address.host, "-U", "postgres", *arguments]
        environment = {**os.environ, "PGPASSWORD": self.server.read_superuser_password()}
        done = subprocess.run([*command, "postgres"], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0 and "terminated" not in done.stderr and "aborted" not in done.stderr:
            raise RuntimeError(done.stderr[-500:])
        return done.stdout

    def kill_and_lose(self) -> None:
        """Kill the postmaster and its children; remove the data directory, as a broken disk would."""
        pid = self.server.pid
        assert pid is not None
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        for victim in (pid, *map(int, children)):
            os.kill(victim, signal.SIGKILL)
        self.server.stop()
        shutil.rmtree(self.folder / "var")

    @contextmanager
    def recovered(self) -> Iterator[Recovered]:
        """Restore the latest into a folder that goes afterwards."""
        into = self.folder / "again"
        into.mkdir(mode=0o711)
        order = RecoveryOrder(choose_backup(self.backup_dir, None), wal_dir_of(self.backup_dir), Latest(), _RECOVERY_KEY)
        try:
            with recover(order, into) as system:
                yield system
        finally:
            shutil.rmtree(into)


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./tellergate bench recovery", description=__doc__)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=int, default=20)
    parser.add_argument("--archive-timeout", type=int, default=DEFAULT_TIMEOUT_S)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="tg-bench-"))
    try:
        figures = _measure(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print_report("recovery", figures, as_json=options.json)
    return 0


def _measure(folder: Path, options: argparse.Namespace) -> list[Figure]:
    site = _make_site(folder / "loaded", options)
    try:
        figures = [*_archiving_cost(site, options), *_loss_and_return(site, options)]
    finally:
        site.server.stop()
    figures.append(_loss_at_little_load(folder, options))
    return figures


def _make_site(folder: Path, options: argparse.Namespace) -> Site:
    site = Site(folder, options.archive_timeout)
    site.server.start()
    set_up_database(
        maintenance_dsn=site.server.admin_dsn(),
        admin_dsn=site.server.admin_dsn("tellergate"),
        dbname="tellergate",
        secrets_dir=folder / "var" / "secrets",
    )
    return site


def _archiving_cost(site: Site, options: argparse.Namespace) -> list[Figure]:
    """Alternate runs without and with the archive, then one with a base backup going on all the time."""
    site.pgbench("--initialize", f"--scale={options.scale}", "--quiet")
    rates: dict[bool, list[int]] = {False: [], True: []}
    for turn in range(options.rounds):
        for archiving in (False, True) if turn % 2 == 0 else (True, False):
            site.server.stop()
            site.layout(archiving=archiving)
            site.server.start()
            rates[archiving].append(_rate(site, options.seconds))
    site.server.stop()
    site.layout(archiving=True)
    site.server.start()
    before = _read_processor_time(site)
    _rate(site, options.seconds)
    used = _read_processor_time(site) - before
    during = _rate_during_backups(site, options.seconds)
    without, with_archive = int(median(rates[False])), int(median(rates[True]))
    return [
        Figure("tps_without_archive", without, "1/s", better="more"),
        Figure("tps_with_archive", with_archive, "1/s", better="more"),
        Figure("tps_with_vs_without_archive", round(with_archive / without, 2), "x", goal=0.95, better="more"),
        Figure("archive_cpu_percent", round(used.archiver * 100 / used.server, 1), "% of the server's CPU", goal=5),
        Figure("tps_during_base_backup", round(during / with_archive, 2), "x of with archive", better="more"),
    ]


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """Hold clock ticks: of the whole server, and of its archiver with the programs that this one ran."""

    server: int
    archiver: int

    def __sub__(self, earlier: ProcessorTime) -> ProcessorTime:
        return ProcessorTime(self.server - earlier.server, self.archiver - earlier.archiver)


def _read_processor_time(site: Site) -> ProcessorTime:
    """Read what load of others moves less than any rate: the time on the processor, ended children included."""
    pid = site.server.pid
    assert pid is not None
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    total, archiver = _ticks_of(pid), 0
    for child in map(int, children):
        try:
            ticks, title = _ticks_of(child), Path(f"/proc/{child}/cmdline").read_bytes()
        except FileNotFoundError:
            continue
        total += ticks
        archiver += ticks if title.startswith(b"postgres: archiver") else 0
    return ProcessorTime(server=total, archiver=archiver)


def _ticks_of(pid: int) -> int:
    """Source: proc(5), fields 14 to 17 of stat."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def _rate(site: Site, seconds: int) -> int:
    said = site.pgbench("--client", str(_CLIENTS), "--jobs", "2", "--protocol=prepared", f"--time={seconds}")
    return int(float(next(line for line in said.splitlines() if line.startswith("tps")).split()[2]))


def _rate_during_backups(site: Site, seconds: int) -> int:
    done = threading.Event()
    faults: list[BaseException] = []

    def keep_backing_up() -> None:
        try:
            while not done.is_set():
                site.back_up()
        except BaseException as fault:  # noqa: BLE001 - handed to the caller
            faults.append(fault)

    thread = threading.Thread(target=keep_backing_up)
    thread.start()
    rate = _rate(site, seconds)
    done.set()
    thread.join()
    if faults:
        raise faults[0]
    return rate


def _loss_and_return(site: Site, options: argparse.Namespace) -> list[Figure]:
    """Lose the disk under full load; bring everything back."""
    made = site.back_up()
    load = threading.Thread(target=_rate_until_killed, args=(site, options.seconds * 20))
    load.start()
    time.sleep(options.seconds * 2)
    with psycopg.connect(site.server.admin_dsn()) as connection:
        row = connection.execute("SELECT COUNT(*), CLOCK_TIMESTAMP() FROM pgbench_history").fetchone()
    assert row is not None
    committed, at = int(row[0]), row[1]
    site.kill_and_lose()
    load.join()
    began = time.monotonic()
    with site.recovered() as system:
        back_ms = _ms(time.monotonic() - began)
        with psycopg.connect(system.server.admin_dsn()) as connection:
            row = connection.execute("SELECT COUNT(*), MAX(mtime AT TIME ZONE 'UTC') FROM pgbench_history").fetchone()
            drift = connection.execute(
                "SELECT (SELECT SUM(abalance) FROM pgbench_accounts) - (SELECT SUM(bbalance) FROM pgbench_branches)"
            ).fetchone()
    assert row is not None
    assert drift is not None
    replayed_mb = system.wal_files * 16
    return [
        Figure("base_backup_ms", _ms(made.took_s), "ms"),
        Figure("base_backup_mb", made.bytes_on_disk >> 20, "MB"),
        Figure("rpo_loaded_ms", max(0, _ms((at - row[1]).total_seconds())), "ms"),
        Figure("lost_commits_loaded", max(0, committed - int(row[0])), f"of {committed}"),
        Figure("recovered_drift_minor", int(drift[0]), "", goal=0),
        Figure("rto_ms", back_ms, "ms"),
        Figure("rto_copy_and_check_ms", _ms(system.copied_s), "ms"),
        Figure("rto_replay_ms", _ms(system.replayed_s), "ms"),
        Figure("replayed_mb", replayed_mb, "MB"),
        Figure("replay_mb_per_s", int(replayed_mb // max(system.replayed_s, 0.001)), "MB/s", better="more"),
    ]


def _rate_until_killed(site: Site, seconds: int) -> None:
    try:
        _rate(site, seconds)
    except (RuntimeError, StopIteration):
        return


def _loss_at_little_load(folder: Path, options: argparse.Namespace) -> Figure:
    """Write ten rows a second and lose the disk just before the open log file would have been closed."""
    site = _make_site(folder / "quiet", options)
    try:
        with psycopg.connect(site.server.admin_dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE ticks (at TIMESTAMPTZ NOT NULL)")
            made = site.back_up()
            identifier = made.backup.manifest.system_identifier
            count = _archived(site, identifier)
            close_at: float | None = None
            while close_at is None or time.monotonic() < close_at:
                row = connection.execute("INSERT INTO ticks VALUES (CLOCK_TIMESTAMP()) RETURNING at").fetchone()
                if close_at is None and _archived(site, identifier) > count:
                    close_at = time.monotonic() + max(0.5, options.archive_timeout - 2)
                time.sleep(0.1)
        site.kill_and_lose()
        with site.recovered() as system, psycopg.connect(system.server.admin_dsn()) as connection:
            last = connection.execute("SELECT MAX(at) FROM ticks").fetchone()
    finally:
        site.server.stop()
    assert row is not None
    assert last is not None
    goal = (options.archive_timeout + 5) * 1000
    return Figure("rpo_quiet_worst_ms", _ms((row[0] - last[0]).total_seconds()), "ms", goal=goal)


def _archived(site: Site, identifier: str) -> int:
    return len(read_archive(wal_dir_of(site.backup_dir), identifier).segments)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
