"""Seeded decide documents, each of them wrong in at least one way. None may be allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

from domain.decision import Outcome
from domain.errors import TellergateError
from domain.proposal import ActionKind
from gates.examples import example_document
from gates.policy.bundle import PolicyBundle
from gates.pure import decide_document
from gates.score.scorecard import Scorecard

Document = dict[str, Any]
Damage = Callable[[Random, Document], None]
# What stands where an integer, a text or an object is expected. Bool is an integer in Python and none here.
_NO_VALUES: tuple[Any, ...] = (None, True, 1.5, 12.0, "", "12", [], {}, [1], {"a": 1}, -1, 0, 2**53, 10**30, "\u0000", "\ud800")
_NO_INTEGERS: tuple[Any, ...] = (None, True, False, 1.5, 12.0, "12", [], {"a": 1}, 2**53, -(2**53), 10**30)
_NO_TEXTS: tuple[Any, ...] = (None, True, 1, 1.5, [], {"a": 1}, "x" * 257, "a\nb", "\u200b", "\ud800")
_NO_BOOLS: tuple[Any, ...] = (None, 0, 1, "true", "True", [], {"a": 1}, 1.0)
_NO_HANDLES: tuple[Any, ...] = (
    None,
    1,
    "",
    "t1",
    "T",
    "T99999",
    "T1 ",
    " T1",
    "T1\n",
    "T1;",
    "txn_example",
    ["T1"],
    {"handle": "T1"},
    "Ｔ1",
)
_NO_AMOUNTS: tuple[Any, ...] = (
    None,
    0,
    -1,
    12.9,
    1290.0,
    "1290",
    "12.90",
    True,
    [],
    {"minor": 1},
    10**15 + 1,
    2**63,
    10**400,
    float("inf"),
)
_NO_CURRENCIES: tuple[Any, ...] = (None, "eur", "EURO", "E", "", 978, "€", "EUR ", ["EUR"], "ＥＵＲ")


def count_malformed_allows(bundle: PolicyBundle, scorecard: Scorecard, *, seed: int, count: int) -> dict[str, int]:
    """Decide this many malformed documents; return how many were allowed, under the damage that was done."""
    allowed: dict[str, int] = {}
    for number in range(count):
        rng = Random(f"{seed}/{number}")
        document = example_document(rng.choice(_ALLOWED))
        # Two damages are of different parts, so that the second cannot undo the first.
        damages = [rng.choice(parts) for parts in rng.sample(_DAMAGES, rng.choice((1, 1, 1, 2)))]
        for damage in damages:
            # A second damage may find nothing left of what it breaks.
            with suppress(TypeError, KeyError, AttributeError, IndexError, ValueError):
                damage(rng, document)
        try:
            decision = decide_document(_through_json(rng, document), bundle=bundle, scorecard=scorecard)
        except TellergateError:
            continue
        if decision.outcome is Outcome.ALLOW:
            name = "+".join(damage.__name__ for damage in damages)
            allowed[name] = allowed.get(name, 0) + 1
    return allowed


_ALLOWED = tuple(
    kind
    for kind in ActionKind
    if kind
    not in {
        ActionKind.UNLISTED, ActionKind.DISPUTE_WRITEOFF, ActionKind.HOLD_RELEASE, ActionKind.BENEFICIARY_CHANGE,
        ActionKind.KYC_DECISION,
    }
)  # fmt: skip
"""Kinds whose example is allowed: of these a damaged document could be too."""


def _through_json(rng: Random, document: Document) -> Document:
    """Most come as a reader of standard input has them; some hold what no JSON can."""
    if rng.random() < 0.1:
        return document
    return dict(json.loads(json.dumps(document)))


def break_argument(rng: Random, document: Document) -> None:
    arguments = document["proposal"]["arguments"]
    name = rng.choice(sorted(arguments))
    wrong = {"amount_minor": _NO_AMOUNTS, "currency": _NO_CURRENCIES, "reason_code": (None, 1, "", "bribe", ["bill"], "BILL")}
    arguments[name] = rng.choice(wrong.get(name, _NO_HANDLES))


def drop_argument(rng: Random, document: Document) -> None:
    arguments = document["proposal"]["arguments"]
    del arguments[rng.choice(sorted(arguments))]


def add_argument(rng: Random, document: Document) -> None:
    arguments = document["proposal"]["arguments"]
    extra = {
        "iban": "DE00", "approved": True, "origin": "staff", "verdict": "clear", "hold": "H1", "amount": 1,
        "details": "<IBAN_7f3a9k2m-q4>",
    }  # fmt: skip
    name = rng.choice(sorted(set(extra) - set(arguments)))
    arguments[name] = extra[name]


def break_proposal(rng: Random, document: Document) -> None:
    times: tuple[Any, ...] = (None, "yesterday", [], "2026-01-01T00:00:00", "2026-01-01T00:00:00+02:00")
    name = rng.choice(
        ("kind", "arguments", "proposal_id", "trace", "submitted_at", "conversation_id", "tenant_id", "outcome", None)
    )
    if name is None:
        document["proposal"] = rng.choice(_NO_VALUES)
    else:
        document["proposal"][name] = rng.choice(times if name == "submitted_at" else _NO_VALUES)


def name_a_stranger(rng: Random, document: Document) -> None:
    """Take our records away, or make them somebody's words or another kind's."""
    records = [entry for entry in document["context"] if "record" in entry]
    way = rng.randrange(3)
    for entry in records:
        if way == 0:
            document["context"].remove(entry)
        elif way == 1:
            entry["origin"] = rng.choice(("document", "customer_text", "knowledge_base", "staff"))
        else:
            entry["record"]["kind"] = "case" if entry["record"]["kind"] != "case" else "card"


def break_fact(rng: Random, document: Document) -> None:
    facts = document["facts"][rng.choice(sorted(document["facts"]))]
    name = rng.choice(sorted(facts))
    facts[name] = rng.choice({bool: _NO_BOOLS, int: _NO_INTEGERS, str: _NO_TEXTS}[type(facts[name])])


def drop_fact(rng: Random, document: Document) -> None:
    facts = document["facts"][rng.choice(sorted(document["facts"]))]
    del facts[rng.choice(sorted(facts))]


def drop_group(rng: Random, document: Document) -> None:
    del document["facts"][rng.choice(sorted(document["facts"]))]


def add_fact(rng: Random, document: Document) -> None:
    odd = (("approval", "is_granted"), ("proposed", "amount_minor"), ("origins", "beneficiary"), ("score", "score"), ("x-y", "z"))
    group, name = rng.choice(odd)
    document["facts"].setdefault(group, {})[name] = rng.choice((True, 1, "staff"))


def break_context(rng: Random, document: Document) -> None:
    wrong: tuple[Any, ...] = (
        {"origin": "derived", "text": "x"}, {"origin": "model", "text": "x"}, {"origin": "god", "text": "x"}, {"text": "x"},
        "x", None, {"origin": "staff"}, {"origin": "staff", "text": "x", "record": {}}, {"origin": "staff", "text": 1},
        {"origin": "ledger", "record": {"handle": "T1"}}, {"origin": "ledger", "record": []},
    )  # fmt: skip
    document["context"].append(rng.choice(wrong))


def break_document(rng: Random, document: Document) -> None:
    way = rng.randrange(4)
    if way == 0:
        document[rng.choice(("outcome", "decision", "origins", "approvals"))] = rng.choice(("allow", True, 1))
    elif way == 1:
        document[rng.choice(("now", "tenant_id", "operator_id"))] = rng.choice(
            ("yes terday", "", 1.5, [], {"a": 1}, "2026/01/01")
        )
    elif way == 2:
        document["policy"] = rng.choice(({}, {"path": "/nonexistent"}, {"manifest": {}, "files": {}}, [], "allow", {"path": 1}))
    else:
        document[rng.choice(("facts", "context"))] = rng.choice((None, 1, "x", True))


_DAMAGES: tuple[tuple[Damage, ...], ...] = (
    (break_argument, drop_argument, add_argument, break_proposal),
    (break_fact, drop_fact, drop_group, add_fact),
    (name_a_stranger, break_context),
    (break_document,),
)
