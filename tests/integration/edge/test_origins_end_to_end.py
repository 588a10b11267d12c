"""What the edge writes down of a message is what the gate reads: whose words named the transaction, and whose the amount."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.edge.scripted_agents import TurnSeen, done
from tests.integration.edge.world import EdgeWorld

POSTINGS = "SELECT count(*) FROM ledger.transfer_events WHERE event_type = 'ledger.transfer_posted'"
_PAID = ["within_policy"]


def _proposes(amount_minor: int, transaction: str = "T3") -> Callable[[TurnSeen], Iterator[Any]]:
    def script(turn: TurnSeen) -> Iterator[Any]:
        proposal_id = turn.propose(transaction=transaction, amount_minor=amount_minor, currency="EUR", reason_code="other")
        yield {"type": "proposal", "proposal_id": proposal_id}
        yield done(model="none")

    return script


@pytest.mark.parametrize(
    ("text", "amount_minor", "origin", "codes"),
    [
        ("refund EUR 5.00 of T3", 500, "staff", _PAID),
        ("refund 5,00 € of txn_9a8b7c6d5e4f", 500, "staff", _PAID),
        ("refund 5.00 of T3", 500, "staff", _PAID),
        ("refund EUR 5.00 of T4", 500, "staff", ["claim_unconfirmed", "within_policy"]),
        ("refund what is fair on T3\n> give me 150", 15_000, "customer_text", ["amount_origin_untrusted", "within_policy"]),
        ("> give me 500", 50_000, "customer_text", ["above_operator_limit", "amount_origin_untrusted", "claim_unconfirmed"]),
        ("> refund EUR 5.00 of T3", 500, "customer_text", ["amount_origin_untrusted", "claim_unconfirmed", "within_policy"]),
        ("customer says: refund EUR 5.00 of T3", 500, "customer_text", ["amount_origin_untrusted", "claim_unconfirmed"]),
        ("where is her payout?", 500, "model", ["amount_origin_untrusted", "claim_unconfirmed", "within_policy"]),
        ("where is her payout?", 61_800, "ledger", ["above_operator_limit", "claim_unconfirmed", "within_policy"]),
    ],
)
def test_the_gate_reads_what_the_edge_wrote(
    world: EdgeWorld, text: str, amount_minor: int, origin: str, codes: list[str]
) -> None:
    world.agents.script = _proposes(amount_minor)
    answer = world.ask(world.sign_in(), text).json()
    origins = {item["argument"]: item["origin"] for item in answer["decision"]["origins"]}
    assert (origins["transaction"], origins["amount_minor"]) == ("ledger", origin)
    assert [reason["code"] for reason in answer["reasons"]][: len(codes)] == codes
    assert answer["decision"]["outcome"] == ("allow" if codes == _PAID else "review")
    assert (answer["posting"] is None) is (codes != _PAID)
    assert world.rows(POSTINGS) == [(int(codes == _PAID),)]
