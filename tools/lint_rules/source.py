"""What a rule sees of a file, and what it says."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = (
    *("domain", "storage", "ledger", "gates", "screening", "masking", "prompts", "retrieval", "documents", "agents"),
    *("serving", "demo", "training", "evals", "bench", "tools", "tests"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """Hold one parsed file; `path` is relative to the root."""

    path: Path
    tree: ast.Module

    @property
    def package(self) -> str:
        """Return the top-level folder."""
        return self.path.parts[0]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Hold one breach."""

    path: Path
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


Rule = Callable[[Source], Iterator[Finding]]


def read_sources(root: Path) -> Iterator[Source]:
    """Parse every Python file of our packages."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            yield Source(path.relative_to(root), ast.parse(path.read_text(encoding="utf-8"), str(path)))
