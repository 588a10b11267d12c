"""Stories, anchors and keys over the API: for the roles that may, and for nobody's other workspace."""

from __future__ import annotations

from datetime import UTC, datetime

from domain.ids import make_id
from tests.integration.edge.test_reviews import ASK
from tests.integration.edge.world import EdgeWorld


def test_a_story_is_told_to_who_may_read_decisions(world: EdgeWorld) -> None:
    ada = world.sign_in("ada")
    decision_id = world.ask(ada, ASK).json()["decision"]["decision_id"]
    told = ada.get(f"/api/v1/decisions/{decision_id}/explanation").json()
    assert told["decision"]["outcome"] == "review"
    assert told["nearest"] == "It would pass if one more person approved it."
    assert "refund T3" in told["message"]["masked_text"]
    assert any("The amount is above the operator's own limit." in line for line in told["lines"])
    assert ada.get(f"/api/v1/decisions/{make_id('dec', datetime.now(UTC))}/explanation").status_code == 404
    assert ada.get("/api/v1/decisions/dec_x/explanation").status_code == 404
    assert ada.get("/api/v1/decisions/..%2F..%2Fhealthz/explanation").status_code == 404


def test_keys_are_changed_by_administrators_only(world: EdgeWorld) -> None:
    ada = world.sign_in("ada")
    for path in ("/api/v1/log/rotate-key", "/api/v1/log/anchor"):
        assert ada.post(path).status_code == 403
