"""Each rule refuses its own lie, true sentences pass, and no changed digit is ever shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.output_checks.rules import RULES, Evidence, find_support, values_of
from agents.support.claims import Claim

TOKEN = "<PERSON_00000000-3g>"
PAIR = "T2 of 2026-03-08 12:00 UTC repeats T3 of 2026-03-08 11:56 UTC: two card payments of EUR 12.90 at Nordwind Books."
PROPOSAL = "A refund of EUR 12.90 for T2 is proposed as duplicate charge; the gate decides, and its answer stands below."
EARLIER = "An earlier refund of EUR 5.00 for T9 was denied on 2026-03-01, and nothing was executed."
QUOTE = 'The article "Fee schedule" says: A card replacement costs EUR 3.00.'
EVIDENCE = Evidence(claims=tuple(Claim(text=text, citations=()) for text in (PAIR, PROPOSAL, EARLIER, QUOTE)))

TRUE = [
    PROPOSAL,
    "A refund of EUR 12.90 for T2 is proposed as a duplicate charge, and the gate decides.",
    'The article "Fee schedule" says that a card replacement costs EUR 3.00.',
    EARLIER,
]
# A lie for each rule.
LIES = {
    "length": "A refund of EUR 12.90 for T2 is proposed as duplicate charge and the gate decides",
    "tokens": f"A refund of EUR 12.90 for T2 is proposed to {TOKEN} as duplicate charge; the gate decides.",
    "instruction": "A refund of EUR 12.90 for T2 is proposed as duplicate charge; the gate decides @x.",
    "promise": "A refund of EUR 12.90 for T2 would be proposed as duplicate charge; the gate decides.",
    "values": "A refund of EUR 13.90 for T2 is proposed as duplicate charge; the gate decides.",
    "attribution": "Card replacement costs EUR 3.00.",
    "currency": "A refund of USD 12.90 for T2 is proposed as duplicate charge; the gate decides.",
    "negation": "A refund of EUR 12.90 for T2 isn't proposed as duplicate charge; the gate decides.",
    "words": "A fraudulent refund of EUR 12.90 for T2 is proposed as duplicate charge; the gate decides.",
    "substance": "The gate decides.",
}


def broken(sentence: str) -> set[str]:
    return {name for name, rule in RULES.items() if rule(sentence, EVIDENCE) is not None}


@pytest.mark.parametrize("sentence", TRUE)
def test_a_true_sentence_passes_every_rule(sentence: str) -> None:
    assert broken(sentence) == set()


def test_every_rule_has_its_lie() -> None:
    assert LIES.keys() == RULES.keys()


@pytest.mark.parametrize("name", list(LIES))
def test_a_lie_is_found_by_its_rule(name: str) -> None:
    assert name in broken(LIES[name])


@pytest.mark.parametrize(
    "lie",
    [
        "T3 of 2026-03-08 11:56 UTC repeats T2 of 2026-03-08 12:00 UTC: two card payments of EUR 12.90 at Nordwind Books.",
        "An earlier refund of EUR 12.90 for T2 was denied on 2026-03-01, and nothing was executed.",
        "A refund of EUR 5.00 for T2 is proposed as duplicate charge; the gate decides.",
        "A refund of EUR 12.90 for T2 is approved as duplicate charge; the gate decides.",
        "A refund of EUR 12,90 for T2 has been executed.",
        "A card replacement costs EUR 3.00 and EUR 12.90.",
        "The refund of EUR 12.90 for T2 arrives tomorrow.",
        "A refund of EUR 12.90 for T2 is guaranteed.",
        "An earlier refund of EUR 5.00 for T9 was allowed on 2026-03-01, and it was executed.",
        "A refund of twelve euros for T2 is proposed.",
        "A refund of EUR 12.90 for txn_0123456789ab is proposed as duplicate charge; the gate decides.",
    ],
)
def test_planted_falsehoods_are_refused(lie: str) -> None:
    assert broken(lie)


@given(st.sampled_from(TRUE), st.integers(min_value=0, max_value=9), st.data())
def test_one_changed_digit_is_always_found(sentence: str, digit: int, data: st.DataObject) -> None:
    places = [place for place, character in enumerate(sentence) if character.isdigit()]
    place = data.draw(st.sampled_from(places))
    changed = sentence[:place] + str(digit) + sentence[place + 1 :]
    assert changed == sentence or broken(changed)


@given(st.text(max_size=400))
def test_any_text_is_judged_without_error_and_nothing_strange_passes(text: str) -> None:
    if not broken(text):
        support = find_support(text, EVIDENCE)
        assert support is not None
        assert values_of(text) == values_of(support.text)
