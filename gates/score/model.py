"""One port for every kind of score: a file in, a model out; facts in, a score with reasons out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from domain.decision import ScoreResult
from domain.errors import SetupError
from gates.score.scorecard import Scorecard, load_scorecard, parse_scorecard, score_action
from gates.score.trees import InvalidTrees, TreeModel, TreeTable, build_model, load_trees, score_with_trees

ScoreModel = Scorecard | TreeModel


class UnknownModel(SetupError):
    """Say that a file is no score model that we know."""

    code = "unknown_score_model"


def load_model(path: Path) -> ScoreModel:
    """Read and check a score model of any kind, told by the `format` in its file.

    Raises: UnknownModel, InvalidScorecard, InvalidTrees.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnknownModel(f"{path}: {error}") from error
    match held.get("format") if isinstance(held, dict) else None:
        case "tellergate-scorecard/1":
            return load_scorecard(path)
        case "tellergate-trees/1":
            return load_trees(path)
        case _:
            raise UnknownModel(f"{path}: names no format of a score model that we know")


def parse_model(content: Mapping[str, object], *, source: str) -> ScoreModel:
    """Check a score model's content; `source` is what an error names. Raises: UnknownModel, InvalidScorecard, InvalidTrees."""
    text = json.dumps(content)
    match content.get("format"):
        case "tellergate-scorecard/1":
            return parse_scorecard(text, source=source)
        case "tellergate-trees/1":
            try:
                return build_model(TreeTable.model_validate_json(text))
            except ValidationError as error:
                raise InvalidTrees(f"{source}: {error.errors(include_url=False, include_input=False)}") from error
        case _:
            raise UnknownModel(f"{source}: names no format of a score model that we know")


def score_facts(facts: Mapping[str, object], model: ScoreModel) -> ScoreResult:
    """Score 0 (safe) to 1000 with up to four reasons. Exact and pure."""
    return score_action(facts, model) if isinstance(model, Scorecard) else score_with_trees(facts, model)
