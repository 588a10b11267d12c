"""Installations of the tests' own: made once, copied for each test that kills, loses or replaces its one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.backup.installation import Installation


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """The stopped folder of an installation with schema and keys."""
    folder = Path(tempfile.mkdtemp(prefix="tg-backup-"))
    made = Installation(var_dir=folder / "var", backup_dir=folder / "disk2" / "backup")
    made.set_up()
    made.server.stop()
    yield made.var_dir
    shutil.rmtree(folder)


def copy_installation(template: Path, folder: Path) -> Installation:
    """Start a copy, with an empty backup folder."""
    shutil.copytree(template, folder / "var", symlinks=True, ignore=shutil.ignore_patterns("run", "*.lock"))
    copied = Installation(var_dir=folder / "var", backup_dir=folder / "disk2" / "backup")
    copied.write_recovery_key()
    copied.server.start()
    return copied


@pytest.fixture(scope="module")
def installation(template: Path) -> Iterator[Installation]:
    """One for all tests of a module, which add rows of their own."""
    folder = Path(tempfile.mkdtemp(prefix="tg-backup-"))
    copied = copy_installation(template, folder)
    yield copied
    copied.server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def fresh(template: Path, own_folder: Path) -> Iterator[Installation]:
    """One that a test may kill, lose and replace."""
    copied = copy_installation(template, own_folder)
    yield copied
    copied.server.stop()
