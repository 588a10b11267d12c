"""The browser that the tests drive: found, or installed from Debian's packages where we may."""

from __future__ import annotations

import os
import shutil
import subprocess

from domain.errors import SetupError
from serving.cli.output import say

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_APT = ("apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=120")


def find_browser() -> str | None:
    """Return the path of a Chromium, None where there is none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


def ensure_browser() -> str:
    """Return the path of a Chromium; install Debian's where there is none and we are root. Raises: SetupError."""
    found = find_browser()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        say("browser: installing chromium for the tests")
        for command in ((*_APT, "update"), (*_APT, "install", "--no-install-recommends", "chromium")):
            done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                raise SetupError(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}", code="no_browser")
        found = find_browser()
    if found is None:
        raise SetupError("the tests drive a real browser: install chromium (on Debian: apt install chromium)", code="no_browser")
    return found
