"""A small parent for programs that start children of their own (vLLM): when the supervisor is gone, it ends the whole group.

Run by its path, `python guardian.py PROGRAM [ARGUMENT ...]`; it imports nothing of ours.
The kernel sends SIGTERM when the supervisor dies, by whatever
signal; the guardian then ends every process of the group and, if they linger, kills them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from types import FrameType

_GRACE_S = 6.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(sign: int = signal.SIGTERM) -> None:
    """Ask the kernel to send `sign` to this process when the thread that started it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, sign)


def main(arguments: list[str]) -> int:
    """Run the program in a session of its own and pass its exit status on."""
    supervisor = os.getppid()
    die_with_parent()
    # Grandchildren whose parent dies come to us, not to process 1, so that none is lost from sight.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = subprocess.Popen(arguments, start_new_session=True)

    def end_group(_sign: int, _frame: FrameType | None) -> None:
        _end_group(child)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end_group)
    signal.signal(signal.SIGINT, end_group)
    if os.getppid() != supervisor:
        _end_group(child)
        return 0
    status = child.wait()
    _end_group(child)
    return status if status >= 0 else 128 - status


def _end_group(child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _GRACE_S
    if not _signal_group(child.pid, signal.SIGTERM):
        return
    while time.monotonic() < deadline:
        child.poll()
        _reap()
        if not _signal_group(child.pid, 0):
            return
        time.sleep(0.05)
    _signal_group(child.pid, signal.SIGKILL)


def _signal_group(group: int, sign: int) -> bool:
    try:
        os.killpg(group, sign)
    except ProcessLookupError:
        return False
    return True


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            continue
    except ChildProcessError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
