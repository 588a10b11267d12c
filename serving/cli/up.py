"""`up`: the supervisor with words for people."""

from __future__ import annotations

import time

from serving.cli.output import say
from serving.ingest.demo_logins import DEMO_LOGINS_FILE
from serving.settings import Settings
from serving.supervisor.up import Supervisor


def run_up(settings: Settings) -> None:
    """Run until Ctrl-C. Raises: SetupError before anything started."""
    started = time.monotonic()

    def announce() -> None:
        say(f"\nTellergate is up after {time.monotonic() - started:.0f} s: http://{settings.host}:{settings.port}")
        logins = settings.var_dir / DEMO_LOGINS_FILE
        if settings.mode == "demo" and logins.exists():
            say(logins.read_text(encoding="utf-8").rstrip())
        if settings.with_model and settings.vllm != "none":
            say("The model may still be loading; until it is ready, answers are written by templates. Ctrl-C stops everything.\n")
        else:
            say("No model was asked for: answers are written by templates. Ctrl-C stops everything.\n")

    Supervisor(settings, say=say).run(on_ready=announce)
