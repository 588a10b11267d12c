"""Which artifacts of the gate are in force for a tenant? One read of every alias, and the checked models behind them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from psycopg import Connection
from psycopg.rows import tuple_row

from domain.canonical import canonical_bytes
from domain.decision import ScoreResult
from domain.errors import SetupError, Unavailable
from gates.score.baselines import Baselines, read_baselines
from gates.score.model import ScoreModel, parse_model, score_facts
from gates.usual import Usual
from storage.named_queries import load_queries
from storage.registry import PRODUCTION, AliasTarget

_QUERIES = load_queries(Path(__file__).parent / "sql" / "registry.sql")
POLICY_KIND = "policy"
SCORE_KIND = "score"
BASELINE_KIND = "baseline"
DEFAULT_SCORE = "refund"
"""The name of the score that comes with the release. It scores every kind of act that has no score of its own."""
CUSTOMER_BASELINES = "customer-baselines"
MERCHANT_BASELINES = "merchant-baselines"
CANARY = "canary"
SHADOW = "shadow"
KINDS = [POLICY_KIND, SCORE_KIND, BASELINE_KIND]
_MAX_CACHED = 16
_Aliases = Mapping[str, AliasTarget]


class NoUsableScore(Unavailable):
    """Say that no score is in force for this tenant, or that one in force fails its checks: nothing is decided."""

    code = "no_usable_score"


@dataclass(frozen=True, slots=True)
class InForce:
    """Hold what each alias stands for, by kind and name, as read at one time."""

    targets: Mapping[tuple[str, str], _Aliases]

    def aliases_of(self, kind: str, name: str) -> _Aliases:
        """Return the aliases of a name; none when nothing stands for it."""
        return self.targets.get((kind, name), {})

    def name_of_score(self, act_kind: str) -> str:
        """Return the name of the score for a kind of act: its own where one is in force, else the default."""
        return act_kind if PRODUCTION in self.aliases_of(SCORE_KIND, act_kind) else DEFAULT_SCORE


def read_in_force(connection: Connection[Any]) -> InForce:
    """Read what every alias stands for in the caller's transaction: one statement for policy, scores and baselines."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        return gather_in_force(cursor.execute(_QUERIES["list_in_force"], {"kinds": KINDS}))


def gather_in_force(rows: Iterable[Sequence[Any]]) -> InForce:
    """Put rows of kind, name, alias, version, hash and percent together."""
    found: dict[tuple[str, str], dict[str, AliasTarget]] = defaultdict(dict)
    for kind, name, *target in rows:
        found[kind, name][target[0]] = AliasTarget(*target)
    return InForce(found)


def is_canary(subject: str, canary: AliasTarget) -> bool:
    """Say whether a subject belongs to the canary's share: by the hash of its id, so the same each time."""
    if not subject or canary.percent is None:
        return False
    return int(hashlib.sha256(subject.encode()).hexdigest()[:8], 16) % 100 < canary.percent


def pick_target(aliases: _Aliases, subject: str) -> AliasTarget | None:
    """Return the version that serves a subject: the canary for its share, else what is in force."""
    canary = aliases.get(CANARY)
    return canary if canary is not None and is_canary(subject, canary) else aliases.get(PRODUCTION)


def pick_shadow(aliases: _Aliases) -> AliasTarget | None:
    """Return the version that runs in the shadow of another one, if there is one."""
    shadow, production = aliases.get(SHADOW), aliases.get(PRODUCTION)
    return None if shadow is None or production is None or shadow.version == production.version else shadow


class ModelShelf:
    """Keep checked score models and baselines by their hash. Only reading is saved: what is in force is asked each time."""

    def __init__(self) -> None:
        self._scores: dict[str, ScoreModel] = {}
        self._baselines: dict[str, Baselines] = {}
        self._lock = Lock()

    def open(self, connection: Connection[Any], in_force: InForce) -> Models:
        """Return what scores a tenant's acts in the caller's transaction."""
        return Models(connection, in_force, self)

    def load_score(self, connection: Connection[Any], sha256: str) -> ScoreModel:
        """Return a stored score model, checked when it is first read. Raises: NoUsableScore."""
        known = self._scores.get(sha256)
        if known is None:
            known = _read_score(connection, sha256)
            self._keep(self._scores, sha256, known)
        return known

    def load_baselines(self, connection: Connection[Any], sha256: str) -> Baselines:
        """Return stored baselines, checked when they are first read. Raises: NoUsableScore."""
        known = self._baselines.get(sha256)
        if known is None:
            known = _read_baselines(connection, sha256)
            self._keep(self._baselines, sha256, known)
        return known

    def _keep(self, cache: dict[str, Any], sha256: str, model: object) -> None:
        with self._lock:
            if len(cache) >= _MAX_CACHED:
                cache.clear()
            cache[sha256] = model


@dataclass(frozen=True, slots=True)
class Models:
    """Score one tenant's acts with what is in force, in one transaction."""

    connection: Connection[Any]
    in_force: InForce
    shelf: ModelShelf

    def score(self, facts: Mapping[str, object], *, act_kind: str, customer_id: str) -> ScoreResult:
        """Score with the model in force, or with the canary for its share of customers. Raises: NoUsableScore."""
        name = self.in_force.name_of_score(act_kind)
        target = pick_target(self.in_force.aliases_of(SCORE_KIND, name), customer_id)
        if target is None:
            raise NoUsableScore(f"no score {name} has the alias `{PRODUCTION}` for this tenant")
        return score_facts(facts, self.shelf.load_score(self.connection, target.sha256))

    def has_shadow(self, act_kind: str) -> bool:
        """Say whether a candidate scores this kind of act in the shadow."""
        return pick_shadow(self.in_force.aliases_of(SCORE_KIND, self.in_force.name_of_score(act_kind))) is not None

    def score_in_shadow(self, facts: Mapping[str, object], *, act_kind: str) -> ScoreResult | None:
        """Score with the candidate in the shadow, if there is one. Raises: NoUsableScore."""
        target = pick_shadow(self.in_force.aliases_of(SCORE_KIND, self.in_force.name_of_score(act_kind)))
        return None if target is None else score_facts(facts, self.shelf.load_score(self.connection, target.sha256))

    def find_usual(self, customer_id: str) -> Usual:
        """Return what is usual, as it stands for a customer. Raises: NoUsableScore."""
        return Usual(
            customer=self._find_baselines(CUSTOMER_BASELINES, customer_id),
            merchant=self._find_baselines(MERCHANT_BASELINES, customer_id),
        )

    def _find_baselines(self, name: str, customer_id: str) -> Baselines | None:
        target = pick_target(self.in_force.aliases_of(BASELINE_KIND, name), customer_id)
        return None if target is None else self.shelf.load_baselines(self.connection, target.sha256)


def _read_score(connection: Connection[Any], sha256: str) -> ScoreModel:
    row = connection.execute(_QUERIES["find_score_card"], {"sha256": sha256}).fetchone()
    if row is None:
        raise NoUsableScore(f"the score model {sha256} is not stored")
    try:
        model = parse_model(row[1], source=row[0])
    except SetupError as error:
        raise NoUsableScore(error.message) from error
    if model.ref.rpartition(":")[2] != sha256:
        raise NoUsableScore(f"the score model {row[0]} was changed where it is stored")
    return model


def _read_baselines(connection: Connection[Any], sha256: str) -> Baselines:
    row = connection.execute(_QUERIES["find_baselines"], {"sha256": sha256}).fetchone()
    if row is None:
        raise NoUsableScore(f"the baselines {sha256} are not stored")
    try:
        baselines = read_baselines(canonical_bytes(row[0]))
    except SetupError as error:
        raise NoUsableScore(error.message) from error
    if baselines.ref.rpartition(":")[2] != sha256:
        raise NoUsableScore(f"the baselines {sha256} were changed where they are stored")
    return baselines
