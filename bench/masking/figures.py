"""The figures and what they should be."""

from __future__ import annotations

from typing import Any

from bench.masking.scoring import Score, Tally
from bench.report import Figure

_VALUES = "% of values"
_NUMBERED = (
    "CARD",
    "IBAN",
    "ACCOUNT",
    "ROUTING",
    "NATIONAL_ID",
    "PASSPORT",
    "LICENSE",
    "PHONE",
    "BIRTH_DATE",
    "WALLET",
    "CUSTOMER_ID",
)
_OTHERS = ("ADDRESS", "EMAIL", "IP", "DEVICE", "SECRET", "USERNAME")
_FEW = 40


def list_figures(with_record: Score, without: Score) -> list[Figure]:
    """Return what masking missed and destroyed."""
    values, texts = with_record.values, with_record.texts
    figures = [
        _leak("leak_rate", values, "all", must=1.0, goal=0.5),
        _leak("leak_rate_customer", values, "customer", must=0.2, goal=0.1),
        _leak("leak_rate_third_party", values, "third_party", must=2.0, goal=1.5),
        Figure("leak_rate_strict", with_record.strict.percent("all"), "% of values with 4 in a row readable"),
        Figure("texts_with_leak", texts.percent("with_values"), "% of texts with values", goal=3.0, must=5.0),
        Figure("keep_lost", with_record.facts.percent("all"), "% of facts", goal=1.0, must=2.0),
        Figure("clean_changed", texts.percent("clean"), "% of texts without values", goal=3.0, must=5.0),
        _leak("leak_person", values, "PERSON", must=1.5, goal=1.0),
        *(_leak(f"leak_{name.lower()}", values, name, must=1.0, goal=0.5) for name in _NUMBERED),
        *(_leak(f"leak_{name.lower()}", values, name) for name in _OTHERS),
        _leak("leak_rate_no_record", without.values, "all"),
    ]
    for label, tally in (("", values), ("_no_record", without.values)):
        figures += [
            Figure(f"names_{name.removeprefix('group ')}{label}", tally.percent(name), f"% of {tally.seen[name]} names")
            for name in _list_groups(tally)
        ]
    figures += [
        Figure(f"names_{name}_no_record", without.values.percent(name), f"% of {without.values.seen[name]} names")
        for name in ("listed", "unlisted")
    ]
    return [*figures, *_list_worst(without.values)]


def list_general(score: Score) -> list[Figure]:
    """Return the leak on others' general texts."""
    return [
        _leak("general_leak_rate", score.values, "all", must=6.0, goal=4.0),
        _leak("general_leak_person", score.values, "PERSON"),
        _leak("general_leak_address", score.values, "ADDRESS"),
    ]


def list_questions(score: Score) -> list[Figure]:
    """Return how many of others' banking questions, which hold no value, are changed."""
    return [Figure("banking77_changed", score.texts.percent("clean"), f"% of {score.texts.seen['clean']} questions", must=0.5)]


def list_utterances(score: Score) -> list[Figure]:
    """Return the leak of names in others' utterances, and their other slots that are lost."""
    return [
        Figure("nlupp_names_leak", score.values.percent("all"), f"% of {score.values.seen['all']} names", goal=5.0),
        Figure("nlupp_slots_lost", score.facts.percent("all"), f"% of {score.facts.seen['all']} slots", goal=3.0),
    ]


def list_stock(score: Score) -> list[Figure]:
    """Return stock Presidio's."""
    shares = {
        "leak_rate": score.values.percent("all"), "leak_rate_customer": score.values.percent("customer"),
        "leak_rate_third_party": score.values.percent("third_party"), "texts_with_leak": score.texts.percent("with_values"),
        "keep_lost": score.facts.percent("all"), "clean_changed": score.texts.percent("clean"),
        "leak_person": score.values.percent("PERSON"),
    }  # fmt: skip
    return [Figure(f"stock_{name}", share, "%") for name, share in shares.items()]


def describe_stock(score: Score) -> dict[str, Any]:
    """Return stock Presidio's by class and by the culture of a name."""
    shares = {name.lower(): score.values.percent(name) for name in ("PERSON", *_NUMBERED, *_OTHERS)}
    groups = {name.removeprefix("group "): score.values.percent(name) for name in _list_groups(score.values)}
    return {
        "name": "presidio, spaCy sm",
        "leak_rate_strict": score.strict.percent("all"),
        "leak_by_class": shares,
        "names": groups,
    }


def _leak(name: str, tally: Tally, of: str, *, must: float | None = None, goal: float | None = None) -> Figure:
    return Figure(name, tally.percent(of), f"% of {tally.seen[of]} values", must=must, goal=goal, reason="no such value")


def _list_groups(tally: Tally) -> list[str]:
    return sorted(name for name, count in tally.seen.items() if name.startswith("group ") and count >= _FEW)


def _list_worst(tally: Tally) -> list[Figure]:
    """Return the worst group's rate and its ratio to the best; a group without a miss counts as one with a single miss.

    Names in scripts other than Latin stand beside the groups: their texts are another language's.
    """
    groups = [name for name in _list_groups(tally) if name != "group native_script"]
    rates = [(tally.wrong[name] / tally.seen[name], max(tally.wrong[name], 1) / tally.seen[name]) for name in groups]
    if not rates:
        return [Figure("names_worst_group_no_record", None, "% of names", must=10.0, goal=5.0, reason="too few names")]
    worst, best = max(rate for rate, _ in rates), min(rate for _, rate in rates)
    return [
        Figure("names_worst_group_no_record", round(100 * worst, 2), "% of names", must=10.0, goal=5.0),
        Figure("names_worst_vs_best_no_record", round(worst / best, 2), "x", must=2.5),
    ]
