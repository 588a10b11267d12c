"""An independent evaluator of the starter policy, in plain Python: no Cedar, no bundle, no code of the gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_TWO_DECIMALS = ("CHF", "EUR", "GBP", "USD")
_FACTOR = {**dict.fromkeys(_TWO_DECIMALS, 100), "PLN": 500, "SEK": 500, "JPY": 150, "KWD": 300}
"""How many minor units stand for one unit of the limits below."""
_RANK = {"deny": 0, "hold": 1, "review": 2, "allow": 3}
_HUGE = 10**18

_FRONT = {"refund", "fee_reversal", "goodwill_credit", "payment"}
_DISPUTE = {"provisional_credit", "dispute_writeoff"}
_ON_TRANSACTION = {"refund", "fee_reversal"}
_MONEY = _FRONT | _DISPUTE | {"hold_release"}
_KINDS = _MONEY | {"card_block", "beneficiary_change", "case_close", "kyc_decision"}
_RECORDS = {
    "refund": ("transaction",), "fee_reversal": ("transaction",), "goodwill_credit": ("account",),
    "payment": ("account", "beneficiary"), "provisional_credit": ("dispute",), "dispute_writeoff": ("dispute",),
    "hold_release": ("hold",), "card_block": ("card",), "beneficiary_change": ("beneficiary",), "case_close": ("case",),
    "kyc_decision": (), "unlisted": (),
}  # fmt: skip
_ROLES = {
    **dict.fromkeys({*_FRONT, "card_block"}, ("support", "investigator")),
    **dict.fromkeys({*_DISPUTE, "hold_release", "case_close"}, ("investigator",)),
    "beneficiary_change": ("support", "onboarding"),
    "kyc_decision": ("onboarding",),
}
_ANY_KNOWN_FACT = {
    "baseline": "refs",
    "transaction": "kind", "account": "status", "beneficiary": "currency", "dispute": "state", "card": "status",
    "hold": "state", "case": "state",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Act:
    """What is asked, with where it comes from and how it scored."""

    kind: str
    amount_minor: int
    currency: str
    reason_code: str
    origins: Mapping[str, str]
    score: int
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class _View:
    """Read facts of one act by their type."""

    act: Act
    facts: Mapping[str, object]

    def knows(self, group: str) -> bool:
        return f"{group}.{_ANY_KNOWN_FACT[group]}" in self.facts

    def number(self, name: str) -> int:
        value = self.facts.get(name, 0)
        assert isinstance(value, int)
        return value

    def truth(self, name: str) -> bool:
        return self.facts.get(name) is True

    def text(self, name: str) -> str:
        return str(self.facts.get(name))

    def above(self, units: int, amount: int | None = None) -> bool:
        """Compare with a sum given in units of the currency's step; an unlisted currency has no limit."""
        factor = _FACTOR.get(self.act.currency, _HUGE)
        return (self.act.amount_minor if amount is None else amount) > units * factor

    def came_from(self, argument: str, *origins: str) -> bool:
        return self.act.origins.get(argument) in origins


def judge(act: Act, facts: Mapping[str, object]) -> tuple[str, list[tuple[str, str]]]:
    """Return the outcome and every (outcome, code) in precedence, a code as often as rules give it."""
    view = _View(act, facts)
    denials = [code for code, matched in [*_deny_any(view), *_deny_money(view), *_deny_kind(view)] if matched]
    reasons = [("deny", code) for code in denials] + list(_wait(view))
    if not denials:
        reasons.append(("allow", "within_policy") if _is_permitted(view) else ("deny", "no_permit"))
    if min(_RANK[outcome] for outcome, _ in reasons) == _RANK["review"] and view.number("approval.count") < 1:
        if view.number("load.source_1h_count") > 19:
            reasons.append(("deny", "review_flood"))
        if view.number("load.tenant_1h_count") > 199:
            reasons.append(("deny", "review_budget_spent"))
    reasons.sort(key=lambda reason: (_RANK[reason[0]], reason[1]))
    return reasons[0][0], reasons


def _has_role(view: _View) -> bool:
    return any(view.truth(f"operator.is_{role}") for role in _ROLES.get(view.act.kind, ()))


def _is_permitted(view: _View) -> bool:
    kind = view.act.kind
    needed = {*_RECORDS[kind], *(["account"] if kind in _ON_TRANSACTION | _DISPUTE else [])}
    owned = [group for group in needed if group not in ("account", "case")]
    return (
        kind in _KINDS
        and all(view.knows(group) for group in needed)
        and all(view.truth(f"{group}.owner_matches") for group in owned)
        and view.truth("grant.granted")
        and view.truth("operator.active")
        and _has_role(view)
    )


def _deny_any(view: _View) -> Iterator[tuple[str, bool]]:
    kind = view.act.kind
    granted = view.truth("grant.granted") and all(view.knows(group) for group in _RECORDS[kind])
    others = [
        group
        for group in ("beneficiary", "dispute", "card", "hold")
        if view.knows(group) and not view.truth(f"{group}.owner_matches")
    ]
    yield "kind_unlisted", kind not in _KINDS
    yield "operator_inactive", not view.truth("operator.active")
    yield "turn_mismatch", not view.truth("conversation.message_matches")
    yield "role_missing", kind in _KINDS and not _has_role(view)
    yield "transaction_not_granted", kind in _ON_TRANSACTION and not granted
    yield "handle_not_granted", kind in _KINDS - _ON_TRANSACTION and not granted
    yield "transaction_of_other_customer", view.knows("transaction") and not view.truth("transaction.owner_matches")
    yield "record_of_other_customer", bool(others)


def _deny_money(view: _View) -> Iterator[tuple[str, bool]]:
    kind = view.act.kind
    if kind not in _MONEY:
        return
    yield "currency_unlisted", view.act.currency not in _FACTOR
    yield "amount_not_positive", view.act.amount_minor < 1
    yield "account_closed", view.text("account.status") == "closed"
    yield "hard_cap", view.above(50_000 if kind in ("payment", "hold_release") else 5_000)
    yield "goodwill_cap", kind == "goodwill_credit" and view.above(100)


def _deny_kind(view: _View) -> Iterator[tuple[str, bool]]:
    act = view.act
    if act.kind in _ON_TRANSACTION and view.knows("transaction"):
        remaining = view.number("transaction.remaining_minor")
        kinds = ("fee",) if act.kind == "fee_reversal" else ("card_payment", "direct_debit")
        unfit = view.text("transaction.status") != "posted" or view.text("transaction.kind") not in kinds
        yield "currency_mismatch", act.currency != view.text("transaction.currency")
        yield "transaction_not_fee" if act.kind == "fee_reversal" else "transaction_not_refundable", unfit
        yield "already_refunded", remaining < 1
        yield "amount_above_remainder", 0 < remaining < act.amount_minor
    if act.kind in ("goodwill_credit", "payment") and view.knows("account"):
        yield "currency_mismatch", act.currency != view.text("account.currency")
    if act.kind == "payment" and view.knows("beneficiary"):
        yield "sanctions_hit", view.text("beneficiary.screening_state") == "hit"
        yield "beneficiary_currency_mismatch", act.currency != view.text("beneficiary.currency")
    if act.kind in _DISPUTE and view.knows("dispute"):
        credited, final = view.number("dispute.provisional_minor"), view.number("dispute.writeoff_minor")
        is_credit = act.kind == "provisional_credit"
        left = view.number("dispute.charge_minor") - credited if is_credit else credited - final
        yield "currency_mismatch", act.currency != view.text("dispute.currency")
        yield "dispute_not_open", is_credit and view.text("dispute.state") in ("won", "lost", "withdrawn")
        yield "amount_above_dispute", act.amount_minor > left
    if act.kind == "hold_release" and view.knows("hold"):
        yield "hold_not_open", view.text("hold.state") != "pending"
    if act.kind == "beneficiary_change":
        yield "details_from_model", act.origins.get("details", "model") == "model"
    if act.kind == "case_close" and view.knows("case"):
        yield "case_not_open", view.text("case.state") != "open"


def _wait(view: _View) -> Iterator[tuple[str, str]]:
    approvals = view.number("approval.count")
    if view.act.kind in _FRONT and view.text("account.status") == "blocked":
        yield "hold", "account_blocked"
    if approvals < 1:
        found = [*_review_any(view), *_review_transaction(view), *_review_payment(view), *_review_other(view)]
        yield from (("review", code) for code, matched in found if matched)
    if approvals < 2:
        yield from (("review", code) for code, matched in _review_by_two(view) if matched)


def _review_by_two(view: _View) -> Iterator[tuple[str, bool]]:
    kind = view.act.kind
    yield "four_eyes_needed", kind in {"refund", "payment"} | _DISPUTE and view.above(1_000)
    yield "details_origin_untrusted", kind == "beneficiary_change" and not view.came_from("details", "staff", "kyc_verified")
    yield "kyc_needs_person", kind == "kyc_decision" and view.act.verdict not in ("clear", "review")


def _review_any(view: _View) -> Iterator[tuple[str, bool]]:
    kind, amount, limit = view.act.kind, view.act.amount_minor, view.number("operator.limit_minor")
    stale = not view.truth("conversation.message_is_last") or view.number("conversation.message_age_s") > 15 * 60
    yield "turn_not_current", stale
    yield "repeated_proposal", view.number("conversation.earlier_proposals_count") > 0
    trusted = view.came_from("amount_minor", "ledger", "kyc_verified", "staff", "derived")
    with_limit = _FRONT | {"provisional_credit"}
    yield "above_operator_limit", kind in with_limit and amount > limit
    yield "amount_origin_untrusted", kind in with_limit and not trusted
    moved = view.number(f"velocity.{'beneficiary' if kind == 'payment' else 'customer'}_24h_minor")
    yield "split_amounts", kind in _FRONT and moved > 0 and moved + amount > limit
    yield "score_high", kind in ("refund", "payment") and view.act.score > 599
    flags = view.number("baseline.customer_flags_count") + view.number("baseline.merchant_flags_count")
    usual_matters = kind in ("refund", "fee_reversal", "provisional_credit", "payment")
    yield "breaks_from_usual", usual_matters and view.knows("baseline") and flags > 0
    yield "kyc_not_verified", kind in ("refund", "payment") and view.text("customer.kyc_status") != "verified"


def _review_transaction(view: _View) -> Iterator[tuple[str, bool]]:
    kind = view.act.kind
    if kind in ("fee_reversal", "goodwill_credit"):
        many = view.number("velocity.customer_30d_count") > 2 or view.number("velocity.operator_24h_count") > 29
        yield "velocity", many
    if kind not in _ON_TRANSACTION:
        return
    known = view.knows("transaction")
    yield "transaction_origin_untrusted", not view.came_from("transaction", "ledger", "staff")
    yield "stale_transaction", known and view.number("transaction.age_days") > 120
    yield "account_currency_differs", view.knows("account") and view.text("account.currency") != view.act.currency
    if kind != "refund":
        yield "claim_unconfirmed", known and not view.truth("transaction.named_by_staff")
        return
    yield (
        "velocity",
        view.number("customer.refunds_1d_count") > 2
        or view.number("customer.refunds_30d_count") > 5
        or view.number("operator.refunds_1d_count") > 29,
    )
    yield "velocity", view.above(1_500, view.number("customer.refunds_30d_minor"))
    if not known:
        return
    says_twice, twin = view.act.reason_code == "duplicate_charge", view.truth("transaction.is_duplicate")
    near = view.number("transaction.duplicate_gap_s") < 601
    yield "duplicate_not_confirmed", says_twice and not twin
    yield "duplicate_apart", says_twice and twin and not near
    yield "claim_unconfirmed", not view.truth("transaction.named_by_staff") and not (says_twice and twin and near)
    yield "prior_refund_on_transaction", view.number("transaction.refund_count") > 0
    yield "disputed_transaction", view.truth("transaction.is_disputed")


def _review_payment(view: _View) -> Iterator[tuple[str, bool]]:
    kind, known = view.act.kind, view.knows("beneficiary")
    screening = view.text("beneficiary.screening_state")
    unscreened = known and screening not in ("clear", "review", "hit")
    yield "screening_unknown", kind in ("payment", "beneficiary_change") and unscreened
    if kind != "payment":
        return
    paid, most = view.number("beneficiary.paid_count"), view.number("beneficiary.max_paid_minor")
    logins = view.number("customer.failed_logins_7d_count") > 2 or view.number("customer.foreign_logins_7d_count") > 0
    yield "screening_review", known and screening == "review"
    yield "destination_origin_untrusted", not view.came_from("beneficiary", "staff", "kyc_verified")
    yield "new_beneficiary", known and (view.number("beneficiary.age_hours") < 3 * 24 or paid < 1)
    yield "beneficiary_changed", known and view.number("beneficiary.changed_30d_count") > 0
    yield "payment_unusual", known and paid > 0 and view.act.amount_minor > most + most + most
    yield "takeover_signs", view.number("customer.new_devices_24h_count") > 0 and logins
    yield "fan_out", view.number("velocity.customer_24h_count") > 4


def _review_other(view: _View) -> Iterator[tuple[str, bool]]:
    kind = view.act.kind
    not_due = view.knows("dispute") and not view.truth("dispute.provisional_due")
    yield "claim_unconfirmed", kind == "provisional_credit" and not view.came_from("dispute", "staff")
    yield "provisional_not_due", kind == "provisional_credit" and not_due
    yield "writeoff_needs_approval", kind == "dispute_writeoff"
    yield "release_needs_approval", kind == "hold_release"
    yield "beneficiary_change_needs_approval", kind == "beneficiary_change"
    yield "card_origin_untrusted", kind == "card_block" and not view.came_from("card", "staff")
    yield "case_origin_untrusted", kind == "case_close" and not view.came_from("case", "staff")
    yield "kyc_needs_person", kind == "kyc_decision"
