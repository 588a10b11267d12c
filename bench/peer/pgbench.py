"""Run pgbench and read its answer."""

from __future__ import annotations

import os
import re
import resource
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.peer.run import Run
from bench.peer.server import BenchServer

CLIENTS = 8
"""What every ratio is based on."""


def run_pgbench(
    server: BenchServer,
    dbname: str,
    *,
    seconds: int,
    script: Path | None = None,
    clients: int = CLIENTS,
    environment: Mapping[str, str] | None = None,
    variables: Mapping[str, int | str] | None = None,
) -> Run:
    """Run `script`, or the built-in TPC-B, prepared. Raises: RuntimeError."""
    jobs = min(clients, max(1, os.cpu_count() or 1))
    command = [str(server.embedded.files.bin_dir / "pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j", str(jobs)]
    command += ["-T", str(seconds), *(["-f", str(script)] if script else [])]
    command += [part for name, value in (variables or {}).items() for part in ("-D", f"{name}={value}")]
    before_s = _children_cpu_s()
    with server.metering() as meter:
        done = subprocess.run(
            [*command, dbname], capture_output=True, text=True, check=False, env=environment or server.environment()
        )
    count = re.search(r"number of transactions actually processed: (\d+)", done.stdout)
    per_s = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    failed = re.search(r"number of failed transactions: ([1-9]\d*)", done.stdout)
    if done.returncode != 0 or count is None or per_s is None or failed or "aborted in command" in done.stderr:
        raise RuntimeError(f"pgbench ({done.returncode}): {done.stderr.strip()[:2000] or done.stdout.strip()[:2000]}")
    done_count = max(1, int(count.group(1)))
    client_cpu_us = (_children_cpu_s() - before_s) * 1e6
    return Run(int(count.group(1)), float(per_s.group(1)), meter.cpu_us / done_count, client_cpu_us / done_count)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
