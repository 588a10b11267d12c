"""Nothing that decides knows of training: an artifact reaches the gate through the registry alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FORBIDDEN = {"training", "demo", "numpy"}


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("package", ["domain", "storage", "ledger", "gates", "masking", "agents"])
def test_nothing_that_decides_imports_training(package: str) -> None:
    paths = sorted(ROOT.joinpath(package).rglob("*.py"))
    assert paths
    wrong = {str(path.relative_to(ROOT)): found for path in paths if (found := _imported(path) & {"training", "demo"})}
    assert wrong == {}


def test_gate_scores_without_numpy() -> None:
    for path in ROOT.joinpath("gates", "score").glob("*.py"):
        assert not _imported(path) & FORBIDDEN
    assert "numpy" in _imported(ROOT.joinpath("training", "tree_fit.py"))
