"""Other work on the same cores while the gate decides: what stands in for the model servers, or a running service's own ones."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.answers import QUESTIONS, ask
from serving.cli.client import ApiClient
from serving.settings import read_settings

STREAMS = 8
# The service starts its model servers so (serving/vllm/server.py); their threads are as many as there are cores here.
NICENESS = 10
_STAND_INS = 2
_ROOT = Path(__file__).parents[2]
# Larger than the processor's caches, as a model's weights are.
_SWEPT_BYTES = 64 * 1024 * 1024
_SETTLE_S = 2.0


@contextmanager
def keeping_busy(*, service: bool) -> Iterator[str]:
    """Keep the cores busy for as long as the body runs; gives what was done in words. Raises: RuntimeError when that ended."""
    commands: list[Sequence[str]]
    if service:
        said = f"a running service answered {STREAMS} questions at a time"
        commands = [(sys.executable, "-m", "bench.gating.busy", "ask")]
    else:
        said = f"{_STAND_INS} processes at nice {NICENESS} swept memory and hashed without a pause, for vLLM"
        commands = [("nice", "-n", str(NICENESS), sys.executable, "-m", "bench.gating.busy", "sweep")] * _STAND_INS
    children = [subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.DEVNULL) for command in commands]
    try:
        time.sleep(_SETTLE_S)
        yield said
        if ended := [child.returncode for child in children if child.poll() is not None]:
            raise RuntimeError(f"what should have kept the cores busy ended: {ended}")
    finally:
        for child in children:
            child.kill()
            child.wait()


def sweep_memory() -> None:
    """Copy and hash until killed."""
    source, target = bytearray(_SWEPT_BYTES), bytearray(_SWEPT_BYTES)
    while True:
        target[:] = source
        source[:32] = hashlib.sha256(memoryview(target)[: _SWEPT_BYTES // 8]).digest()


def ask_without_pause() -> None:
    """Ask the demo tenant's questions of the running service, so many at a time, until killed."""
    settings = read_settings()
    scenarios = json.loads((settings.var_dir / "demo-scenarios.json").read_text(encoding="utf-8"))["scenarios"]

    def keep_asking(first: int) -> None:
        client = ApiClient(settings)
        client.sign_in("ada")
        number = first
        while True:
            name, question = QUESTIONS[number % len(QUESTIONS)]
            ask(client, scenarios[name]["customer_id"], question)
            number += 1

    with ThreadPoolExecutor(STREAMS) as threads:
        for asked in [threads.submit(keep_asking, first) for first in range(STREAMS)]:
            asked.result()


if __name__ == "__main__":
    sys.exit({"sweep": sweep_memory, "ask": ask_without_pause}[sys.argv[1]]())
