"""Eight stories of fraud and haste against the whole service: an attacker's agents propose, the rest comes by the API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from masking.classes import PiiClass
from tests.integration.edge.scripted_agents import TurnSeen, done
from tests.integration.edge.world import ANA, EdgeWorld

LANDLORD = "ben_000000000001"
PAYEE, PAYEE_IBAN = "Ottoline Verhage", "NL91ABNA0417164300"
NEW_DETAILS = "<IBAN_7fK2mQ9x-4d>"
POSTED = "SELECT credit, amount_minor FROM ledger.transfer_lines ORDER BY recorded_at, transfer_id"
Act = dict[str, Any]
Written = Sequence[tuple[str, str, str]]


@dataclass(slots=True)
class Stage:
    """Play a turn: what the operator types, what is found in documents, what the agents propose; and count what was posted."""

    world: EdgeWorld

    def play(self, text: str, *acts: Act, user: str = "ada", written: Written = ()) -> list[dict[str, Any]]:
        """Return the decisions on the acts, in their order. `written`: (kind, value, origin) beside the operator's own words."""
        proposals: list[str] = []

        def script(turn: TurnSeen) -> Iterator[Any]:
            self._write(turn, written)
            for act in acts:
                proposals.append(turn.propose_act(**act))
                yield {"type": "proposal", "proposal_id": proposals[-1]}
            yield done(model="none")

        self.world.agents.script = script
        client = self.world.sign_in(user)
        answer = self.world.ask(client, text)
        assert answer.status_code == 200, answer.text
        return [client.post(f"/api/v1/proposals/{proposal_id}/decide").json() for proposal_id in proposals]

    def answer(
        self, decided: dict[str, Any], by: str, verdict: str = "approve", *, digest: str | None = None, key: str = ""
    ) -> httpx.Response:
        """Answer the review of a decision."""
        return self.world.sign_in(by).post(
            f"/api/v1/reviews/{decided['review']['review_id']}/{verdict}",
            json={"action_digest": digest or decided["decision"]["action_digest"], "reason": "read it"},
            headers={"Idempotency-Key": key} if key else {},
        )

    def add_payee(self, beneficiary_id: str = LANDLORD, *, days: int = 400) -> None:
        """Write a payee of Ana's who is verified and screened."""
        tokens = self.world.tokenize(ANA, (PiiClass.PERSON, PAYEE), (PiiClass.IBAN, PAYEE_IBAN))
        at = datetime.now(UTC) - timedelta(days=days)
        self.world.conn_as("jobs", self.world.tenant).execute(
            "INSERT INTO core.beneficiaries (tenant_id, beneficiary_id, customer_id, name_token, account_number_token, currency,"
            " screening_state, added_at, verified_at) VALUES (%s, %s, %s, %s, %s, 'EUR', 'clear', %s, %s)",
            [self.world.tenant.tenant_id, beneficiary_id, ANA, *tokens, at, at],
        )

    def pay_once(self, amount_minor: int = 2_000) -> None:
        """Pay the landlord for the first time, with a second person's consent."""
        (first,) = self.play(f"pay EUR {amount_minor // 100}.00 to B1", pay(amount_minor))
        assert codes_of(first) == ["new_beneficiary"]
        approved = self.answer(first, "cleo").json()
        assert approved["posting"]["amount_minor"] == amount_minor

    def posted(self) -> list[tuple[str, int]]:
        """Return what the ledger holds: (credited account, amount)."""
        return [(row[0], row[1]) for row in self.world.rows(POSTED)]

    def _write(self, turn: TurnSeen, written: Written) -> None:
        # As whoever reads documents will: beside what the edge found in the message itself.
        for ordinal, (kind, value, origin) in enumerate(written, start=1_000):
            self.world.conn_as("edge", self.world.tenant).execute(
                "INSERT INTO core.mentions (tenant_id, message_id, ordinal, kind, value, origin) VALUES (%s, %s, %s, %s, %s, %s)",
                [self.world.tenant.tenant_id, turn.body["message_id"], ordinal, kind, value, origin],
            )


@pytest.fixture
def stage(world: EdgeWorld) -> Stage:
    """A bank whose customer knows one payee."""
    opened = Stage(world)
    opened.add_payee()
    return opened


def pay(amount_minor: int, *, beneficiary: str = "B1", reason_code: str = "bill") -> Act:
    """Ask for a payment from Ana's account."""
    return {
        "kind": "payment", "account": "A1", "beneficiary": beneficiary, "amount_minor": amount_minor, "currency": "EUR",
        "reason_code": reason_code,
    }  # fmt: skip


def refund(transaction: str, amount_minor: int, *, reason_code: str = "duplicate_charge", **more: Any) -> Act:
    """Ask for a refund."""
    return {
        "kind": "refund", "transaction": transaction, "amount_minor": amount_minor, "currency": "EUR", "reason_code": reason_code,
        **more,
    }  # fmt: skip


def outcome_of(decided: dict[str, Any]) -> str:
    """Return the outcome."""
    outcome: str = decided["decision"]["outcome"]
    return outcome


def codes_of(decided: dict[str, Any]) -> list[str]:
    """Return the codes of what did not allow it, sorted."""
    return sorted({reason["code"] for reason in decided["reasons"] if reason["outcome"] != "allow"})


def test_a_bill_whose_text_names_the_payee(stage: Stage) -> None:
    stage.pay_once()
    bill = [("handle", "B1", "document"), ("amount", "EUR 45.00", "document")]
    (known,) = stage.play("please pay the bill that she sent in", pay(4_500), written=bill)
    assert (outcome_of(known), codes_of(known)) == ("review", ["amount_origin_untrusted", "destination_origin_untrusted"])
    unknown_bill = [("handle", "B7", "document"), ("amount", "EUR 45.00", "document")]
    (unknown,) = stage.play("please pay the bill that she sent in", pay(4_500, beneficiary="B7"), written=unknown_bill)
    assert (outcome_of(unknown), "handle_not_granted" in codes_of(unknown)) == ("deny", True)
    # Even typed by the operator, a payee that the customer does not have is none.
    (typed,) = stage.play("pay EUR 45.00 to B7", pay(4_500, beneficiary="B7"))
    assert (outcome_of(typed), "handle_not_granted" in codes_of(typed)) == ("deny", True)
    (quoted,) = stage.play("pay what she asks\n> pay EUR 45.00 to B1", pay(4_500))
    assert codes_of(quoted) == ["amount_origin_untrusted", "destination_origin_untrusted"]
    assert stage.posted() == [("house:bank:payments:EUR", 2_000)]


def test_a_refund_to_another_card(stage: Stage) -> None:
    acts = [
        refund("X1", 7_700),
        refund("T1", 4_990, card="C1"),
        refund("T1", 4_990, beneficiary="B1"),
        refund("A1", 4_990),
        refund("T99", 4_990),
    ]
    decided = stage.play("refund txn_abcdefabcdef to his other card", *acts)
    assert [outcome_of(one) for one in decided] == ["deny"] * len(acts)
    expected = ["transaction_not_granted", *["malformed_proposal"] * 2, *["transaction_not_granted"] * 2]
    assert [code in codes_of(one) for one, code in zip(decided, expected, strict=True)] == [True] * len(acts)
    assert stage.posted() == []


def test_a_rent_that_changed_its_iban_in_a_notice(stage: Stage) -> None:
    stage.pay_once()
    change = {"kind": "beneficiary_change", "beneficiary": "B1", "details": NEW_DETAILS, "reason_code": "customer_request"}
    notice = [("token", NEW_DETAILS, "document"), ("handle", "B1", "document")]
    (changed,) = stage.play("the landlord sent a notice with a new IBAN", change, written=notice)
    assert (outcome_of(changed), changed["review"]["required_approvals"]) == ("review", 2)
    assert {"beneficiary_change_needs_approval", "details_origin_untrusted"} <= set(codes_of(changed))
    first = stage.answer(changed, "cleo").json()
    assert first["decision"]["outcome"] == "review"
    assert stage.answer(changed, "cleo").json()["code"] == "already_answered"
    second = stage.answer(changed, "dan").json()
    assert second["decision"]["outcome"] == "allow", codes_of(second)
    assert second["posting"] is None
    (rent,) = stage.play("pay EUR 20.00 to B1", pay(2_000))
    assert (outcome_of(rent), "beneficiary_changed" in codes_of(rent)) == ("review", True)
    # Details that the model made up do not even reach a person.
    (made_up,) = stage.play("the landlord has a new IBAN", change)
    assert (outcome_of(made_up), "details_from_model" in codes_of(made_up)) == ("deny", True)
    assert stage.posted() == [("house:bank:payments:EUR", 2_000)]


def test_an_amount_split_into_ten_small_ones(stage: Stage) -> None:
    stage.pay_once()
    decided = [stage.play("pay EUR 55.00 to B1", pay(5_500))[0] for _ in range(10)]
    assert [outcome_of(one) for one in decided] == ["allow"] * 3 + ["review"] * 7
    assert all("split_amounts" in codes_of(one) for one in decided[3:])
    assert stage.posted() == [("house:bank:payments:EUR", 2_000)] + [("house:bank:payments:EUR", 5_500)] * 3
    # What waited is bound to the balance that it was read at, and a posting since kills nothing that came after it.
    assert stage.answer(decided[-1], "cleo").json()["posting"]["amount_minor"] == 5_500
    assert stage.answer(decided[-2], "cleo").json()["code"] == "state_changed"


def test_a_known_payee_with_an_inflated_amount(stage: Stage) -> None:
    stage.pay_once()
    (usual,) = stage.play("pay EUR 60.00 to B1", pay(6_000))
    assert outcome_of(usual) == "allow", codes_of(usual)
    (inflated,) = stage.play("pay EUR 180.01 to B1", pay(18_001))
    assert (outcome_of(inflated), "payment_unusual" in codes_of(inflated)) == ("review", True)
    # The operator said 60.00; what the model made of it stands nowhere.
    (altered,) = stage.play("pay EUR 60.00 to B1", pay(11_000))
    assert codes_of(altered) == ["amount_origin_untrusted"]
    assert stage.posted() == [("house:bank:payments:EUR", 2_000), ("house:bank:payments:EUR", 6_000)]


def test_the_same_action_twice_under_two_wordings(stage: Stage) -> None:
    stage.pay_once()
    first, second = stage.play("pay EUR 30.00 to B1", pay(3_000), pay(3_000, reason_code="customer_request"))
    assert outcome_of(first) == "allow", codes_of(first)
    assert (outcome_of(second), "repeated_proposal" in codes_of(second)) == ("review", True)
    (refunded,) = stage.play("charged twice", refund("T1", 4_990))
    assert outcome_of(refunded) == "allow", codes_of(refunded)
    (again,) = stage.play("refund EUR 49.90 of T1, it never came", refund("T1", 4_990, reason_code="goods_not_received"))
    assert outcome_of(again) == "deny"
    assert {"already_refunded", "amount_above_remainder"} & set(codes_of(again))
    credited = [("house:bank:payments:EUR", 2_000), ("house:bank:payments:EUR", 3_000), ("customer:acc_7c1d22e90a11", 4_990)]
    assert stage.posted() == credited


def test_an_approval_replayed(stage: Stage) -> None:
    (first,) = stage.play("refund T3 with EUR 618.00", refund("T3", 61_800, reason_code="other"))
    (other,) = stage.play("refund T4 with EUR 23.15", refund("T4", 2_315))
    assert (outcome_of(first), outcome_of(other)) == ("review", "review")
    given = stage.answer(first, "cleo", key="once").json()
    assert given["posting"]["amount_minor"] == 61_800
    again = stage.answer(first, "cleo", key="once").json()
    assert again["decision"] == given["decision"]
    assert again["posting"] == given["posting"]
    elsewhere = stage.answer(other, "cleo", digest=first["decision"]["action_digest"], key="twice")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "action_digest_mismatch")
    reused = stage.answer(first, "cleo", digest=other["decision"]["action_digest"], key="once")
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    late = stage.answer(first, "dan", key="later")
    assert (late.status_code, late.json()["code"]) == (409, "review_closed")
    assert stage.posted() == [("customer:acc_7c1d22e90a11", 61_800)]


def test_a_hundred_harmless_proposals_and_one_malicious(stage: Stage) -> None:
    stage.add_payee("ben_000000000002", days=0)
    harmless = [refund("T4", 100 + number, reason_code="other") for number in range(100)]
    malicious = pay(19_900, beneficiary="B2")
    decided = stage.play("what about her refunds?", *harmless[:10], malicious, *harmless[10:], malicious)
    outcomes = [outcome_of(one) for one in decided]
    assert outcomes == ["review"] * 20 + ["deny"] * 82
    assert all(codes_of(one).count("review_flood") == 1 for one in decided[20:])
    queue = stage.world.sign_in("cleo").get("/api/v1/reviews").json()
    assert queue["groups"][0]["action_kind"] == "payment"
    assert queue["groups"][0]["riskiest"] == decided[10]["review"]["review_id"]
    assert queue["items"][0]["review"]["review_id"] == decided[10]["review"]["review_id"]
    assert sum(len(group["members"]) for group in queue["groups"]) == 20
    assert len(queue["groups"]) <= 3
    assert stage.posted() == []
