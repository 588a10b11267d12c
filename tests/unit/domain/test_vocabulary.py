from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain.canonical import NotCanonical, canonical_bytes, digest_of
from domain.clock import NaiveTime, parse_time, render_time, require_utc
from domain.decision import Outcome, worst_outcome
from domain.errors import InvalidInput
from domain.ids import InvalidId, is_id, make_id, make_uuid7, require_id, uuid_of

_NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        ((), Outcome.DENY),
        ((Outcome.ALLOW,), Outcome.ALLOW),
        ((Outcome.ALLOW, Outcome.REVIEW), Outcome.REVIEW),
        ((Outcome.REVIEW, Outcome.HOLD), Outcome.HOLD),
        ((Outcome.HOLD, Outcome.DENY, Outcome.ALLOW), Outcome.DENY),
    ],
)
def test_the_worst_outcome_wins_and_nothing_is_a_deny(outcomes: tuple[Outcome, ...], worst: Outcome) -> None:
    assert worst_outcome(outcomes) is worst


def test_ids_sort_by_time_and_hold_their_uuid() -> None:
    early, late = make_uuid7(_NOON), make_uuid7(_NOON + timedelta(milliseconds=1))
    assert early < late
    assert (early.version, early.variant) == (7, "specified in RFC 4122")
    made = make_id("dec", _NOON)
    assert is_id(made, "dec")
    assert not is_id(made, "txn")
    assert uuid_of(made).version == 7


@pytest.mark.parametrize(
    "text", ["", "dec_", "dec_" + "g" * 32, "DEC_" + "0" * 32, "dec_" + "0" * 31, "txn_" + "0" * 32, "dec_" + "0" * 33]
)
def test_other_texts_are_no_decision_ids(text: str) -> None:
    with pytest.raises(InvalidId):
        require_id(text, "dec")


def test_times_are_aware_utc() -> None:
    for moment in (datetime(2026, 5, 1), datetime(2026, 5, 1, tzinfo=timezone(timedelta(hours=2)))):  # noqa: DTZ001
        with pytest.raises(NaiveTime):
            require_utc(moment)
    assert parse_time(render_time(_NOON)) == _NOON
    with pytest.raises(InvalidInput):
        parse_time("yesterday")


def test_digests_do_not_depend_on_key_order_and_floats_are_refused() -> None:
    assert digest_of({"a": 1, "b": [True, None, "é"]}) == digest_of({"b": [True, None, "é"], "a": 1})
    assert canonical_bytes({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()
    for value in (1.5, float("nan"), [{"deep": 0.1}]):
        with pytest.raises(NotCanonical):
            canonical_bytes({"amount": value})
    with pytest.raises(NotCanonical):
        canonical_bytes({"amount": 2**60})
