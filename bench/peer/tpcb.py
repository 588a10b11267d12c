"""pgbench's built-in TPC-B-like transaction: three updates, one insert, one select."""

from __future__ import annotations

import subprocess

from bench.peer.pgbench import run_pgbench
from bench.peer.run import Run
from bench.peer.server import BenchServer

_DATABASE = "peer_tpcb"
SCALE = 50
"""What the ratios are based on: 5 million accounts."""


def set_up(server: BenchServer, *, scale: int = SCALE) -> None:
    """Make and fill its tables."""
    server.recreate(_DATABASE)
    command = [str(server.embedded.files.bin_dir / "pgbench"), "-i", "-q", "-s", str(scale), _DATABASE]
    subprocess.run(command, check=True, capture_output=True, env=server.environment())


def run(server: BenchServer, *, seconds: int) -> Run:
    """Run it."""
    return run_pgbench(server, _DATABASE, seconds=seconds)
