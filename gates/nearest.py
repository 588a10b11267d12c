"""What is the smallest thing that would let this act pass? Found by deciding again, never by guessing. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from domain.decision import Decision, Outcome
from domain.money import EXPONENTS, Money, render_money
from domain.origin import Origin
from domain.proposal import MONEY_KINDS, ArgumentOrigin
from gates.decide import DecisionInput, decide_action
from gates.policy.bundle import PolicyBundle
from gates.replay.inputs import find_settling_reason, input_of

MAX_APPROVALS = 5
ChangeKind = Literal["approvals", "amount_minor", "named_by_staff", "operator_limit_minor", "operator_role"]
_TRUSTED = frozenset({Origin.LEDGER, Origin.KYC_VERIFIED, Origin.STAFF, Origin.DERIVED})
_ROLES = ("support", "investigator", "onboarding")
_ADDRESSED = ("amount_minor", "transaction", "account", "beneficiary", "card", "dispute", "hold", "case", "details")


@dataclass(frozen=True, slots=True)
class NearestChange:
    """Hold what would have to be different: one or two steps, tried on the very facts of the decision. `sentence` says it."""

    steps: tuple[tuple[ChangeKind, int | str], ...]
    sentence: str


_Step = tuple[ChangeKind, int | str, DecisionInput]
_Source = Callable[[DecisionInput, PolicyBundle, Callable[[DecisionInput], bool]], Iterator[_Step]]


def find_nearest_change(decision: Decision, bundle: PolicyBundle) -> NearestChange | None:
    """Return the first change that makes it an allow, the easiest first; None when it passes already, or when nothing does.

    In this order: approvals, a smaller amount, staff names what others named, another operator's limit or role; then two of them.
    """
    if decision.outcome is Outcome.ALLOW or find_settling_reason(decision) is not None:
        return None
    request = input_of(decision)

    def passes(changed: DecisionInput) -> bool:
        return decide_action(changed, bundle, now=decision.decided_at).outcome is Outcome.ALLOW

    for source in (_more_approvals, _smaller_amount, _named_by_staff, _higher_limit, _other_role):
        for kind, value, changed in source(request, bundle, passes):
            if passes(changed):
                return _describe(((kind, value),), request)
    for first, second in _PAIRS:
        for kind, value, changed in first(request, bundle, passes):
            for further, number, twice in second(changed, bundle, passes):
                if passes(twice):
                    return _describe(((kind, value), (further, number)), request)
    return None


def _more_approvals(request: DecisionInput, _: PolicyBundle, __: Callable[[DecisionInput], bool]) -> Iterator[_Step]:
    given = request.facts.get("approval.count")
    if type(given) is int:
        for count in range(given + 1, MAX_APPROVALS + 1):
            yield "approvals", count - given, replace(request, facts={**request.facts, "approval.count": count})


def _smaller_amount(request: DecisionInput, _: PolicyBundle, passes: Callable[[DecisionInput], bool]) -> Iterator[_Step]:
    """Find the largest smaller amount that passes, halving: policies that let an amount pass let smaller ones pass too."""
    if request.action.kind not in MONEY_KINDS:
        return
    low, high = 0, request.action.amount_minor
    while high - low > 1:
        middle = (low + high) >> 1
        low, high = (middle, high) if passes(_with_amount(request, middle)) else (low, middle)
    if low:
        yield "amount_minor", low, _with_amount(request, low)


def _with_amount(request: DecisionInput, amount_minor: int) -> DecisionInput:
    return replace(request, action=request.action.model_copy(update={"amount_minor": amount_minor}))


def _named_by_staff(request: DecisionInput, _: PolicyBundle, __: Callable[[DecisionInput], bool]) -> Iterator[_Step]:
    doubtful = [origin.argument for origin in request.origins if origin.origin not in _TRUSTED and origin.argument in _ADDRESSED]
    if doubtful:
        origins = tuple(
            ArgumentOrigin(argument=origin.argument, origin=Origin.STAFF) if origin.argument in doubtful else origin
            for origin in request.origins
        )
        yield "named_by_staff", ", ".join(doubtful), replace(request, origins=origins)


def _higher_limit(request: DecisionInput, _: PolicyBundle, __: Callable[[DecisionInput], bool]) -> Iterator[_Step]:
    limit = request.facts.get("operator.limit_minor")
    if type(limit) is int and limit < request.action.amount_minor:
        facts = {**request.facts, "operator.limit_minor": request.action.amount_minor}
        yield "operator_limit_minor", request.action.amount_minor, replace(request, facts=facts)


def _other_role(request: DecisionInput, _: PolicyBundle, __: Callable[[DecisionInput], bool]) -> Iterator[_Step]:
    for role in _ROLES:
        if request.facts.get(f"operator.is_{role}") is False:
            yield "operator_role", role, replace(request, facts={**request.facts, f"operator.is_{role}": True})


_PAIRS: tuple[tuple[_Source, _Source], ...] = (
    (_named_by_staff, _more_approvals),
    (_higher_limit, _more_approvals),
    (_other_role, _more_approvals),
    (_named_by_staff, _smaller_amount),
    (_other_role, _smaller_amount),
    (_more_approvals, _smaller_amount),
)


def _describe(steps: tuple[tuple[ChangeKind, int | str], ...], request: DecisionInput) -> NearestChange:
    parts = [_say(kind, value, request.action.currency) for kind, value in steps]
    return NearestChange(steps=steps, sentence=f"It would pass if {' and '.join(parts)}.")


def _say(kind: ChangeKind, value: int | str, currency: str) -> str:
    if kind == "approvals":
        return "one more person approved it" if value == 1 else f"{value} more people approved it"
    if kind == "amount_minor":
        return f"the amount were at most {_write(int(value), currency)}"
    if kind == "named_by_staff":
        return f"staff named it in the conversation ({value})"
    if kind == "operator_limit_minor":
        return f"an operator asked for it whose own limit is {_write(int(value), currency)} or more"
    return f"an operator with the role {value} asked for it"


def _write(amount_minor: int, currency: str) -> str:
    if currency in EXPONENTS:
        return render_money(Money(amount_minor, currency))
    return f"{amount_minor} minor units of {currency}"
