"""What each kind of act carries out: exactly its own transfer, hold, release or instruction, once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from psycopg import Connection, sql
from psycopg.errors import CheckViolation

from domain.decision import Outcome
from domain.proposal import MONEY_KINDS, ActionKind
from gates.decision_store import find_posting
from ledger.results import ExecutionCode
from ledger.transfer_digest import digest_decision
from tests.integration.gates.acts import AMOUNT, Acts
from tests.integration.gates.desk import ACCOUNT, STRANGE_ACCOUNT, STRANGER, Desk
from tests.integration.ledger.books import find_faults

_SIDES = {
    ActionKind.REFUND: ("house:refunds:EUR", f"customer:{ACCOUNT}", "refund"),
    ActionKind.FEE_REVERSAL: ("house:fees:EUR", f"customer:{ACCOUNT}", "fee_reversal"),
    ActionKind.GOODWILL_CREDIT: ("house:goodwill:EUR", f"customer:{ACCOUNT}", "goodwill_credit"),
    ActionKind.PROVISIONAL_CREDIT: ("house:provisional:EUR", f"customer:{ACCOUNT}", "provisional_credit"),
    ActionKind.PAYMENT: (f"customer:{ACCOUNT}", "house:bank:payments:EUR", "payment"),
}
_PLAIN = sorted(_SIDES)
_WITHOUT_MONEY = sorted(set(ActionKind) - MONEY_KINDS - {ActionKind.UNLISTED})


@pytest.fixture
def acts(desk: Desk) -> Acts:
    """Decisions without a policy, at a fresh desk."""
    return Acts(desk)


def _lines(acts: Acts) -> list[tuple[object, ...]]:
    return (
        acts.desk.role("auditor")
        .execute(
            "SELECT kind, debit, credit, action_kind, amount_minor FROM ledger.transfer_lines ORDER BY recorded_at, transfer_id"
        )
        .fetchall()
    )


@pytest.mark.parametrize("kind", _PLAIN)
def test_an_allow_posts_exactly_its_plan_once(acts: Acts, kind: ActionKind) -> None:
    decision = acts.decide(acts.make_action(kind))
    assert acts.execute(decision).code is ExecutionCode.POSTED
    assert acts.execute(decision).code is ExecutionCode.ALREADY_POSTED
    debit, credit, code = _SIDES[kind]
    assert _lines(acts) == [("posted", debit, credit, code, AMOUNT)]
    posting = find_posting(acts.desk.role("gate"), decision.decision_id)
    assert posting is not None
    assert posting.balance_after_minor == (-AMOUNT if kind is ActionKind.PAYMENT else AMOUNT)
    assert (acts.count("gate.executed_acts"), acts.count("core.outbox")) == (1, 1)


@pytest.mark.parametrize("kind", _PLAIN)
def test_a_hold_places_the_same_accounts_and_moves_nothing(acts: Acts, kind: ActionKind) -> None:
    decision = acts.decide(acts.make_action(kind), Outcome.HOLD)
    assert acts.execute(decision).code is ExecutionCode.HELD
    assert acts.execute(decision).code is ExecutionCode.HELD
    debit, credit, code = _SIDES[kind]
    assert _lines(acts) == [("pending", debit, credit, code, AMOUNT)]
    assert acts.count("gate.consumptions") == acts.count("gate.executed_acts") == acts.count("core.outbox") == 0
    assert acts.desk.role("auditor").execute("SELECT SUM(ABS(balance_minor)) FROM ledger.account_balances").fetchone() == (0,)


@pytest.mark.parametrize("kind", _PLAIN)
def test_an_allow_after_a_hold_posts_the_hold(acts: Acts, kind: ActionKind) -> None:
    held = acts.decide(acts.make_action(kind), Outcome.HOLD)
    acts.execute(held)
    hold = acts.transfer_of(held)
    allowed = acts.decide(held.action, previous=held, hold=hold)
    assert acts.execute(allowed).code is ExecutionCode.POSTED
    assert {line[0] for line in _lines(acts)} == {"pending", "post"}
    assert acts.desk.role("gate").execute("SELECT state, posted_minor FROM ledger.holds").fetchone() == ("posted", AMOUNT)
    assert acts.count("gate.executed_acts") == acts.count("gate.consumptions") == 1
    assert find_faults(acts.desk.role("auditor"), acts.desk.tenant.tenant_id) == {}


@pytest.mark.parametrize("kind", _WITHOUT_MONEY)
def test_an_act_without_money_tells_the_bank_and_the_log_once(acts: Acts, kind: ActionKind) -> None:
    decision = acts.decide(acts.make_action(kind))
    assert acts.execute(decision).code is ExecutionCode.EXECUTED
    assert acts.execute(decision).code is ExecutionCode.EXECUTED
    auditor = acts.desk.role("auditor")
    assert auditor.execute("SELECT kind, reference, payload ->> 'transfer_id' FROM core.outbox").fetchall() == [
        (kind.value, decision.decision_id, None)
    ]
    assert auditor.execute("SELECT subject, data ->> 'kind' FROM core.events WHERE event_type = 'gate.executed'").fetchall() == [
        (decision.decision_id, kind.value)
    ]
    assert acts.count("gate.executed_acts") == acts.count("gate.consumptions") == 1
    assert acts.count("ledger.transfers") == 0
    with pytest.raises(CheckViolation, match="already executed"):
        acts.decide(decision.action, Outcome.DENY, previous=decision)


def test_a_release_voids_the_hold_and_moves_nothing(acts: Acts) -> None:
    decision = acts.decide(acts.make_action(ActionKind.HOLD_RELEASE))
    assert acts.execute(decision).code is ExecutionCode.POSTED
    assert acts.desk.role("gate").execute("SELECT state FROM ledger.holds").fetchall() == [("voided",)]
    assert acts.count("gate.executed_acts") == 0
    again = acts.decide(acts.make_action(ActionKind.HOLD_RELEASE, subject_id=decision.action.subject_id))
    assert acts.execute(again).code is ExecutionCode.HOLD_NOT_OPEN


@pytest.mark.parametrize("kind", [*_PLAIN, *_WITHOUT_MONEY])
@pytest.mark.parametrize("outcome", [Outcome.REVIEW, Outcome.DENY])
def test_nothing_else_is_carried_out(acts: Acts, kind: ActionKind, outcome: Outcome) -> None:
    decision = acts.decide(acts.make_action(kind), outcome)
    assert acts.execute(decision).code is ExecutionCode.OUTCOME_NOT_ALLOW
    assert acts.count("gate.authorizations") == acts.count("ledger.transfers") == acts.count("core.outbox") == 0


def test_a_hold_that_has_ended_is_not_posted(acts: Acts) -> None:
    held, hold = acts.place_hold()
    late = acts.desk.now + timedelta(days=1)
    allowed = acts.decide(held.action, previous=held, hold=hold, at=late)
    assert acts.execute(allowed, at=late).code is ExecutionCode.HOLD_NOT_OPEN


def test_a_hold_of_another_chain_is_not_posted(acts: Acts) -> None:
    _, hold = acts.place_hold()
    stranger = acts.decide(acts.make_action(ActionKind.PAYMENT), hold=hold)
    assert acts.execute(stranger).code is ExecutionCode.HOLD_NOT_OPEN
    assert acts.desk.role("gate").execute("SELECT state FROM ledger.holds").fetchall() == [("pending",)]


def test_a_hold_that_goes_on_places_nothing_more(acts: Acts) -> None:
    held, hold = acts.place_hold()
    kept = acts.decide(held.action, Outcome.HOLD, previous=held, hold=hold)
    assert digest_decision(kept) is None
    assert acts.execute(kept).code is ExecutionCode.OUTCOME_NOT_ALLOW
    assert acts.count("ledger.transfers") == 1


def test_credits_of_a_dispute_stay_within_the_charge_and_write_offs_within_those(acts: Acts) -> None:
    dispute = acts.desk.add_dispute(acts.desk.add_charge(AMOUNT))

    def run(kind: ActionKind, amount_minor: int) -> ExecutionCode:
        return acts.execute(acts.decide(acts.make_action(kind, subject_id=dispute, amount_minor=amount_minor))).code

    assert run(ActionKind.DISPUTE_WRITEOFF, 1) is ExecutionCode.EXCEEDS_DISPUTE
    assert run(ActionKind.PROVISIONAL_CREDIT, AMOUNT + 1) is ExecutionCode.EXCEEDS_DISPUTE
    assert run(ActionKind.PROVISIONAL_CREDIT, 600) is ExecutionCode.POSTED
    assert run(ActionKind.PROVISIONAL_CREDIT, 401) is ExecutionCode.EXCEEDS_DISPUTE
    assert run(ActionKind.PROVISIONAL_CREDIT, 400) is ExecutionCode.POSTED
    assert run(ActionKind.DISPUTE_WRITEOFF, 700) is ExecutionCode.POSTED
    assert run(ActionKind.DISPUTE_WRITEOFF, 301) is ExecutionCode.EXCEEDS_DISPUTE
    assert run(ActionKind.DISPUTE_WRITEOFF, 300) is ExecutionCode.POSTED
    assert find_faults(acts.desk.role("auditor"), acts.desk.tenant.tenant_id) == {}


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        (ActionKind.GOODWILL_CREDIT, {"account_id": "acc_gone"}, ExecutionCode.ACCOUNT_NOT_FOUND),
        (ActionKind.GOODWILL_CREDIT, {"account_id": STRANGE_ACCOUNT}, ExecutionCode.ACCOUNT_MISMATCH),
        (ActionKind.GOODWILL_CREDIT, {"currency": "USD"}, ExecutionCode.CURRENCY_MISMATCH),
        (ActionKind.PAYMENT, {"account_id": STRANGE_ACCOUNT}, ExecutionCode.ACCOUNT_MISMATCH),
        (ActionKind.PAYMENT, {"beneficiary_id": "ben_gone"}, ExecutionCode.BENEFICIARY_NOT_FOUND),
        (ActionKind.BENEFICIARY_CHANGE, {"beneficiary_id": "ben_gone"}, ExecutionCode.BENEFICIARY_NOT_FOUND),
        (ActionKind.PROVISIONAL_CREDIT, {"subject_id": "dsp_gone"}, ExecutionCode.TRANSACTION_NOT_FOUND),
        (ActionKind.PROVISIONAL_CREDIT, {"account_id": STRANGE_ACCOUNT}, ExecutionCode.ACCOUNT_MISMATCH),
        (ActionKind.FEE_REVERSAL, {"amount_minor": AMOUNT + 1}, ExecutionCode.EXCEEDS_REFUNDABLE),
        (ActionKind.HOLD_RELEASE, {"subject_id": "tfr_" + "0" * 32}, ExecutionCode.HOLD_NOT_OPEN),
        (ActionKind.HOLD_RELEASE, {"amount_minor": AMOUNT - 1}, ExecutionCode.HOLD_NOT_OPEN),
    ],
)
def test_the_records_have_the_last_word(acts: Acts, kind: ActionKind, fields: dict[str, object], code: ExecutionCode) -> None:
    decision = acts.decide(acts.make_action(kind, **fields))
    before = acts.count("ledger.transfers")
    assert acts.execute(decision).code is code
    assert acts.count("ledger.transfers") == before
    assert acts.count("gate.executed_acts") == acts.count("core.outbox") == 0


def test_a_fee_is_reversed_and_nothing_else_as_one(acts: Acts) -> None:
    charge = acts.desk.add_charge(AMOUNT)
    decision = acts.decide(acts.make_action(ActionKind.FEE_REVERSAL, transaction_id=charge))
    assert acts.execute(decision).code is ExecutionCode.TRANSACTION_NOT_REFUNDABLE


@pytest.mark.parametrize("payee", ["hit", "of another"])
def test_no_payment_to_a_payee_that_may_not_have_it(acts: Acts, payee: str) -> None:
    beneficiary = (
        acts.desk.add_beneficiary(screening_state="hit") if payee == "hit" else acts.desk.add_beneficiary(customer_id=STRANGER)
    )
    decision = acts.decide(acts.make_action(ActionKind.PAYMENT, beneficiary_id=beneficiary))
    assert acts.execute(decision).code is ExecutionCode.BENEFICIARY_MISMATCH


_CHANGES: dict[str, object] = {
    "amount_minor": AMOUNT - 1, "currency": "USD", "account_id": STRANGE_ACCOUNT, "transaction_id": "txn_other",
    "customer_id": STRANGER, "beneficiary_id": "ben_other", "merchant_id": "mrc_other", "subject_id": "dsp_other",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        *((ActionKind.PAYMENT, column) for column in _CHANGES),
        # A refund's own form holds what its posting and its charge depend on.
        *((ActionKind.REFUND, column) for column in list(_CHANGES)[:4]),
    ],
)
def test_a_row_that_was_changed_afterwards_carries_out_nothing(
    acts: Acts, admin_conn: Connection[object], kind: ActionKind, column: str
) -> None:
    """By the superuser, past the triggers, with column, action and action digest in agreement."""
    decision = acts.decide(acts.make_action(kind))
    with admin_conn.transaction():
        admin_conn.execute("ALTER TABLE gate.decisions DISABLE TRIGGER USER")
        admin_conn.execute(
            sql.SQL(
                "UPDATE gate.decisions SET {column} = %(value)s::{type}, action = changed.action,"
                " action_digest = gate.digest_of_flat(changed.action)"
                " FROM (SELECT action || JSONB_BUILD_OBJECT(%(column)s::TEXT, %(value)s::{type}) AS action FROM gate.decisions"
                " WHERE decision_id = %(decision_id)s) AS changed WHERE decision_id = %(decision_id)s"
            ).format(column=sql.Identifier(column), type=sql.SQL("BIGINT" if column == "amount_minor" else "TEXT")),
            {"value": _CHANGES[column], "column": column, "decision_id": decision.decision_id},
        )
        admin_conn.execute("ALTER TABLE gate.decisions ENABLE TRIGGER USER")
        admin_conn.execute("ALTER TABLE gate.decisions ENABLE ALWAYS TRIGGER append_only")
    assert acts.execute(decision).code is ExecutionCode.DIGEST_MISMATCH
    assert acts.count("ledger.transfers") == 0
