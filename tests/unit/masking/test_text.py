"""MaskedText: nobody outside masking can make one."""

from __future__ import annotations

import ast
import copy
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from masking.classes import PiiClass
from masking.text import DamagedToken, MaskedText, NotMasked, masked_from_store
from masking.tokens import mint_token

ROOT = Path(__file__).parents[3]
TOKEN = mint_token(b"k" * 32, pii_class=PiiClass.PERSON, canonical="marta")
_OUTSIDE = ("agents", "documents", "prompts", "retrieval", "serving", "screening", "gates", "ledger", "storage", "domain", "demo")


def find_builders(root: Path) -> Iterator[str]:
    """Yield each place outside `masking` that reaches for a private name of masking's text, or calls the constructor."""
    for folder in _OUTSIDE:
        for file in sorted((root / folder).rglob("*.py")):
            for node in (
                one for one in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(one, ast.stmt | ast.expr)
            ):
                if isinstance(node, ast.ImportFrom) and node.module == "masking.text":
                    if any(alias.name.startswith("_") for alias in node.names):
                        yield f"{file}:{node.lineno}"
                elif _names_constructor(node) or (isinstance(node, ast.Attribute) and node.attr in {"_SEAL", "_seal_masked"}):
                    yield f"{file}:{node.lineno}"


def _names_constructor(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "MaskedText"


def test_no_module_outside_masking_builds_masked_text() -> None:
    assert list(find_builders(ROOT)) == []


def test_the_search_for_builders_finds_them(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "bad.py").write_text(
        "from masking.text import _seal_masked\nimport masking.text\nx = MaskedText('a', (), seal=masking.text._SEAL)\n"
    )
    assert len(list(find_builders(tmp_path))) == 3


def test_constructor_refuses_everybody_else() -> None:
    for seal in (None, object(), "seal"):
        with pytest.raises(NotMasked):
            MaskedText("Marta", (), seal=seal)


def test_it_does_not_change_and_cannot_be_forged_by_copying() -> None:
    masked = masked_from_store(f"Dear {TOKEN},")
    with pytest.raises(AttributeError):
        masked.text = "Marta"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        masked._text = "Marta"
    assert copy.deepcopy(masked) == pickle.loads(pickle.dumps(masked)) == masked
    assert masked.tokens == (TOKEN,)


def test_join_takes_masked_texts_only() -> None:
    masked = masked_from_store(TOKEN)
    assert MaskedText.join([masked, masked], separator="\n").tokens == (TOKEN, TOKEN)
    with pytest.raises(NotMasked):
        MaskedText.join([masked, "Marta"])  # type: ignore[list-item]
    with pytest.raises(NotMasked):
        MaskedText.join([masked, masked], separator=" Marta ")


def test_store_text_with_a_damaged_or_misspelled_token_is_refused() -> None:
    for text in (TOKEN[:-2] + "0>" if TOKEN[-2] != "0" else TOKEN[:-2] + "1>", TOKEN.lower(), "<PERSON_00000000-zz>"):
        with pytest.raises(DamagedToken):
            masked_from_store(text)
