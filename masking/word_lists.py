"""Word lists: one file each in `words/`, words split by spaces, a comment line on top."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "words"


def load_words(name: str) -> frozenset[str]:
    """Read one list, lower case."""
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word.casefold() for line in lines if not line.startswith("#") for word in line.split())


def load_rows(name: str) -> list[list[str]]:
    """Read one list, its words line by line as they are written."""
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.split() for line in lines if line.strip() and not line.startswith("#")]


def load_alternatives(name: str) -> str:
    """Read one list of expressions, one a line, as the alternatives of a regular expression."""
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return "|".join(line.strip() for line in lines if line.strip() and not line.startswith("#"))
