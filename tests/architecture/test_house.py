"""The house stays as the design draws it: arrows, rules, names, and no distribution that owns one of our names."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.lint_rules.rules import RULES
from tools.lint_rules.source import PACKAGES, read_sources
from tools.schemas import FOLDER, render_schemas

ROOT = Path(__file__).resolve().parents[2]
_IMPORTABLE = tuple(name for name in PACKAGES if (ROOT / name / "__init__.py").exists())
_LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-c", _LINT_IMPORTS, "--no-cache")
    # A wide terminal, so that a contract and its verdict stand on one line.
    environment = {**os.environ, "COLUMNS": "400"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_arrows_hold() -> None:
    done = _lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("agents/support/planted.py", "import ledger.planted_target\n", "ai-never-money"),
        ("gates/planted.py", "import httpx\n", "gate-never-ai"),
        ("domain/planted.py", "import psycopg\n", "pure-domain"),
        ("retrieval/planted.py", "import masking.unmask\n", "unmask-at-the-edge"),
        ("ledger/planted.py", "import gates.decide\n", "planes"),
        ("gates/planted.py", "import ledger.posting\n", "one-executor"),
    ],
)
def test_a_planted_import_breaks_its_contract(tmp_path: Path, file: str, line: str, contract: str) -> None:
    copy = tmp_path / "house"
    copy.mkdir()
    shutil.copy(ROOT / "pyproject.toml", copy)
    for name in _IMPORTABLE:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "ledger" / "planted_target.py").write_text("")
    (copy / file).write_text(line)
    done = _lint_imports(copy)
    contracts = (ROOT / "pyproject.toml").read_text()
    block = re.search(rf'id = "{contract}"\nname = "(?P<name>[^"]+)"', contracts)
    assert block is not None
    assert done.returncode != 0
    assert re.search(rf"^{re.escape(block['name'])} BROKEN", done.stdout, re.MULTILINE), done.stdout


def test_house_rules_hold() -> None:
    findings = sorted(finding for source in read_sources(ROOT) for rule in RULES for finding in rule(source))
    assert findings == []


def test_no_installed_distribution_owns_one_of_our_names() -> None:
    owners = importlib.metadata.packages_distributions()
    assert {name: owners[name] for name in _IMPORTABLE if name in owners} == {}


@pytest.mark.parametrize("name", _IMPORTABLE)
def test_our_names_resolve_below_the_root(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(ROOT)


def test_lock_files_hold_hashes_and_no_addresses() -> None:
    locks = sorted((ROOT / "requirements").glob("*.lock"))
    assert locks
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text, lock.name
        pinned = len(re.findall(r"^[A-Za-z0-9_.\-]+(\[[a-z,]+\])?==", text, re.MULTILINE))
        assert pinned > 0
        assert text.count("--hash=sha256:") >= pinned, lock.name


def test_only_what_we_may_ship_is_installed() -> None:
    """GPL and AGPL packages may not be among what the lock installs; LGPL only as psycopg, imported unmodified."""
    named = {
        line.split("==")[0].lower() for line in (ROOT / "requirements" / "app.lock").read_text().splitlines() if "==" in line
    }
    offenders = []
    for distribution in importlib.metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower()
        if name not in named or name.startswith("psycopg"):
            continue
        fields = ("License-Expression", "License", "Classifier")
        values = [value for field in fields for value in distribution.metadata.get_all(field) or ()]
        licence = " ".join(value for value in values if "::" not in value or value.startswith("License"))
        first_line = licence[:200]
        if re.search(r"\bA?GPL|Affero|GNU General Public|Elastic License|Server Side Public", first_line):
            offenders.append((name, first_line))
    assert offenders == []


def test_the_documented_schemas_are_those_of_the_code() -> None:
    for name, text in render_schemas().items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name}: run python -m tools.schemas"
