"""Boosted trees as integer code: a checked table in, generated comparisons out, the same answer as a scorecard gives.

The table is the artifact. Its code is always generated here, from integers alone, and a code file that lies beside a table must
be that text byte for byte: nobody's own code is ever run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.canonical import digest_of
from domain.decision import ScoreResult
from domain.errors import SetupError
from gates.score.scorecard import MAX_REASONS, MAX_SCORE

MILLI = 1_000
"""Points in a table are thousandths of a point of the score, so that rounding adds up to nothing."""
MAX_DEPTH = 4
MAX_TREES = 200
_Milli = Annotated[int, Field(ge=-MAX_SCORE * MILLI, le=MAX_SCORE * MILLI)]
_Bound = Annotated[int, Field(ge=-(2**53) + 1, le=2**53 - 1)]


class InvalidTrees(SetupError):
    """Say what in a table of trees is wrong. Such a table is never used."""

    code = "invalid_trees"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TreeFact(_Frozen):
    """Name a fact and its reason. Where it is lacking, or no integer, `stand_in` is its value and `missing_milli` is added."""

    fact: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]
    reason: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,60}$")]
    stand_in: _Bound
    missing_milli: Annotated[int, Field(ge=0, le=MAX_SCORE * MILLI)]


class Leaf(_Frozen):
    """Hold what each fact on the way adds, by the fact's place, in thousandths of a point."""

    adds_milli: dict[str, _Milli]


class Node(_Frozen):
    """Send a value up to and including `up_to` to `low`, a higher one to `high`."""

    fact: Annotated[int, Field(ge=0)]
    up_to: _Bound
    low: Node | Leaf
    high: Node | Leaf


class TreeTable(_Frozen):
    """Hold a whole model as data."""

    format: Literal["tellergate-trees/1"] = "tellergate-trees/1"
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z.-]{1,40}$")]
    base_milli: _Milli
    facts: Annotated[tuple[TreeFact, ...], Field(min_length=1, max_length=100)]
    trees: Annotated[tuple[Node | Leaf, ...], Field(min_length=1, max_length=MAX_TREES)]


_Contribute = Callable[..., tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class TreeModel:
    """Hold a checked table with its code, ready to score. `ref` names it with its hash; `content` is the table as it was read."""

    ref: str
    base_milli: int
    facts: tuple[TreeFact, ...]
    contribute: _Contribute
    content: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


def load_trees(path: Path) -> TreeModel:
    """Read and check a table; a `.py` beside it must be the code that the table gives. Raises: InvalidTrees."""
    try:
        text = path.read_text(encoding="utf-8")
        code_path = path.with_suffix(".py")
        held_code = code_path.read_text(encoding="utf-8") if code_path.exists() else None
        table = TreeTable.model_validate_json(text)
    except (OSError, UnicodeError) as error:
        raise InvalidTrees(f"{path}: {error}") from error
    except ValidationError as error:
        raise InvalidTrees(f"{path}: {error.errors(include_url=False, include_input=False)}") from error
    code = generate_code(table)
    if held_code is not None and held_code != code:
        raise InvalidTrees(f"{code_path}: not the code of {path.name}")
    return build_model(table)


def build_model(table: TreeTable) -> TreeModel:
    """Turn a table into a model. Raises: InvalidTrees."""
    content = table.model_dump(mode="json")
    sha256 = digest_of(content)
    names: dict[str, Any] = {"__builtins__": {}}
    # Our own text, made of checked integers; without builtins it can name nothing.
    exec(compile(generate_code(table), f"<trees {sha256[:12]}>", "exec"), names)  # noqa: S102
    return TreeModel(
        ref=f"trees:{table.name}@{table.version}:{sha256}",
        base_milli=table.base_milli,
        facts=table.facts,
        contribute=names["contribute"],
        content=content,
    )


def score_with_trees(facts: Mapping[str, object], model: TreeModel) -> ScoreResult:
    """Score 0 (safe) to 1000 from integer facts; the reasons are the largest contributions, ties by name. Exact and pure."""
    values: list[int] = []
    missing: list[int] = []
    for fact in model.facts:
        value = facts.get(fact.fact)
        is_there = type(value) is int
        values.append(value if is_there else fact.stand_in)  # type: ignore[arg-type]
        missing.append(0 if is_there else fact.missing_milli)
    total = model.base_milli
    found: list[tuple[int, str]] = []
    for fact, added, lack in zip(model.facts, model.contribute(*values), missing, strict=True):
        total += added + lack
        if added + lack >= MILLI:
            found.append((-(added + lack), fact.reason))
    found.sort()
    return ScoreResult(
        score=min(max(total // MILLI, 0), MAX_SCORE),
        reason_codes=tuple(reason for _, reason in found[:MAX_REASONS]),
        model_ref=model.ref,
    )


def generate_code(table: TreeTable) -> str:
    """Write the trees as comparisons and additions of integers: one function of the facts, in their order."""
    _check(table)
    count = len(table.facts)
    lines = [
        f'"""Generated from the table {table.name}@{table.version}. Its table is the artifact; do not edit."""',
        "",
        "",
        f"def contribute({', '.join(f'f{place}' for place in range(count))}):",
        *(f"    # f{place}: {fact.fact}" for place, fact in enumerate(table.facts)),
        f"    {' = '.join(f'c{place}' for place in range(count))} = 0",
    ]
    for tree in table.trees:
        lines += _write_node(tree, 1)
    lines.append(f"    return ({', '.join(f'c{place}' for place in range(count))},)")
    return "\n".join(lines) + "\n"


def _write_node(node: Node | Leaf, depth: int) -> Iterator[str]:
    indent = "    " * depth
    if isinstance(node, Leaf):
        adds = [(int(place), milli) for place, milli in node.adds_milli.items() if milli]
        yield from (f"{indent}c{place} += {milli}" for place, milli in sorted(adds))
        if not adds:
            yield f"{indent}pass"
        return
    yield f"{indent}if f{node.fact} <= {node.up_to}:"
    yield from _write_node(node.low, depth + 1)
    yield f"{indent}else:"
    yield from _write_node(node.high, depth + 1)


def _check(table: TreeTable) -> None:
    names = [fact.fact for fact in table.facts]
    if len(set(names)) != len(names):
        raise InvalidTrees("a fact stands twice")
    for tree in table.trees:
        _check_node(tree, len(names), 0)


def _check_node(node: Node | Leaf, count: int, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidTrees(f"a tree is deeper than {MAX_DEPTH}")
    if isinstance(node, Leaf):
        if any(
            not place.isdecimal() or not place.isascii() or str(int(place)) != place or int(place) >= count
            for place in node.adds_milli
        ):
            raise InvalidTrees("a leaf adds to a fact that is not there")
        return
    if node.fact >= count:
        raise InvalidTrees("a node asks for a fact that is not there")
    _check_node(node.low, count, depth + 1)
    _check_node(node.high, count, depth + 1)
