"""Make Python environments from lock files with hashes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.setup.failures import CommandFailed, NoNetwork, explain_venv
from tools.setup.place import Place, python_of
from tools.setup.process import run_tool
from tools.setup.stamps import read_stamp, remove_stamp, sha256_of, write_stamp


def lock_entry(lock: Path, *names: str) -> str:
    """Return the entries of some packages, with their hashes, out of a lock file.

    Raises: KeyError when a name is not locked.
    """
    entries: dict[str, str] = {}
    for entry in re.split(r"\n(?=[A-Za-z0-9])", lock.read_text(encoding="utf-8").strip()):
        entries[entry.split("==")[0].strip().lower()] = entry
    return "\n".join(entries[name] for name in names) + "\n"


def is_current(environment: Path, locks: dict[str, Path]) -> bool:
    """Tell whether the environment was made, to the end, from these very lock files."""
    if not python_of(environment).exists():
        return False
    stamp = read_stamp(environment)
    return all(stamp.get(name) == sha256_of(lock) for name, lock in locks.items())


def stamp_environment(environment: Path, locks: dict[str, Path]) -> None:
    """Record which lock files the environment was made from."""
    write_stamp(environment, {name: sha256_of(lock) for name, lock in locks.items()})


def create_environment(environment: Path) -> None:
    """Create an empty environment without pip, or keep one whose interpreter still runs."""
    if _interpreter_runs(environment):
        drop_half_installed(environment)
        return
    shutil.rmtree(environment, ignore_errors=True)
    _make_venv(environment, "--without-pip")


def drop_half_installed(environment: Path) -> int:
    """Forget packages whose installation was cut off, so that the installer does them again.

    Installers write INSTALLER after a package's files; metadata without it is a half-installed package.
    """
    dropped = 0
    for metadata in environment.glob("lib/python3*/site-packages/*.dist-info"):
        if not (metadata / "INSTALLER").exists():
            shutil.rmtree(metadata)
            dropped += 1
    return dropped


def boot_python(place: Place) -> Path:
    """Return an interpreter that has the pip shipped with Python, making it when missing.

    Raises: SetupError, VenvModuleMissing among them.
    """
    boot = place.scratch / "boot"
    if not read_stamp(boot) or not _interpreter_runs(boot):
        shutil.rmtree(boot, ignore_errors=True)
        _make_venv(boot)
        write_stamp(boot, {"python": sys.version.split()[0]})
    return python_of(boot)


def install_with_pip(place: Place, environment: Path, lock: Path, *, what: str, log: Path) -> None:
    """Install a whole lock with pip: the machine's own pip configuration (indexes, find-links, proxies) applies.

    Byte code is left to the first import: only a part of these files is ever imported.
    """
    run_tool(
        what,
        [
            *(boot_python(place), "-m", "pip", "--python", python_of(environment), "install", "--no-deps", "--require-hashes"),
            *("--no-compile", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", "-r", lock),
        ],
        log=log,
        cwd=place.root,
    )


def install_with_uv(place: Place, environment: Path, lock: Path, *, what: str, log: Path) -> None:
    """Install a whole lock with uv, which is quicker; with pip where uv finds no way to the index.

    uv does not read pip's configuration, so behind a company's index only pip may get through.
    """
    try:
        uv = tool_folder(place, "uv", log=log) / "bin" / "uv"
        run_tool(
            what,
            [uv, "pip", "sync", "--require-hashes", "--python", python_of(environment), "--no-progress", lock],
            log=log,
            cwd=place.root,
        )
    except (NoNetwork, CommandFailed):
        install_with_pip(place, environment, lock, what=what, log=log)


def tool_folder(place: Place, *names: str, log: Path, lock_name: str = "tools.lock") -> Path:
    """Return a scratch folder that holds the named packages of a lock alone, installing them when missing."""
    lock = place.requirements / lock_name
    entry = lock_entry(lock, *names)
    folder = place.scratch / names[0]
    if read_stamp(folder).get("entry") == entry:
        return folder
    place.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.scratch, prefix=".half-made-") as half_made:
        wanted = Path(half_made) / "wanted.txt"
        wanted.write_text(entry, encoding="utf-8")
        target = Path(half_made) / "target"
        run_tool(
            ", ".join(names),
            [
                *(boot_python(place), "-m", "pip", "install", "--no-deps", "--require-hashes", "--no-compile", "--no-input"),
                *("--disable-pip-version-check", "--progress-bar", "off", "--target", target, "-r", wanted),
            ],
            log=log,
            cwd=place.root,
        )
        write_stamp(target, {"entry": entry})
        shutil.rmtree(folder, ignore_errors=True)
        target.rename(folder)
    return folder


def build_environment(
    place: Place, environment: Path, locks: dict[str, Path], *, install: Path, with_uv: bool, what: str, log: Path
) -> None:
    """Bring an environment to what a lock says and stamp it last. Idempotency: may be cut off and started again anywhere."""
    if read_stamp(environment) and not with_uv:
        # pip leaves packages that a newer lock no longer names; uv's sync removes them.
        shutil.rmtree(environment)
    remove_stamp(environment)
    create_environment(environment)
    if with_uv:
        install_with_uv(place, environment, install, what=what, log=log)
    else:
        install_with_pip(place, environment, install, what=what, log=log)
    stamp_environment(environment, locks)


def _interpreter_runs(environment: Path) -> bool:
    python = python_of(environment)
    if not python.exists():
        return False
    check = "import sys; sys.exit(sys.version_info[:2] != (3, 11))"
    return subprocess.run([python, "-I", "-c", check], check=False, capture_output=True).returncode == 0


def _make_venv(environment: Path, *options: str) -> None:
    environment.parent.mkdir(parents=True, exist_ok=True)
    made = subprocess.run([sys.executable, "-m", "venv", *options, environment], check=False, capture_output=True, text=True)
    if made.returncode != 0:
        raise explain_venv(sys.executable, output=made.stdout + made.stderr, where=environment.parent)
