"""The pages of the desk: the queue with its groups and claims, the kill switch, policies and the day's digest."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from tests.integration.edge.scripted_agents import done
from tests.integration.edge.test_access import _hidden, console
from tests.integration.edge.test_scenarios import Stage, pay, refund
from tests.integration.edge.world import EdgeWorld


def test_alike_reviews_are_one_item_with_a_claim(world: EdgeWorld) -> None:
    Stage(world).play("what about these?", *(refund("T4", 300 + number, reason_code="other") for number in range(5)))
    cleo, dan = console(world, "cleo"), console(world, "dan")
    page = cleo.get("/approvals").text
    # The first proposal of a message is no repetition; the other four are alike.
    assert "4 alike from this person, EUR 12.10 in all" in page
    assert page.count("data-review=") == 2
    review_id = re.findall(r'data-review="(rev_[0-9a-f]{32})"', page)[0]
    csrf = _hidden(page, "csrf")
    taken = cleo.post(f"/reviews/{review_id}/claim", data={"csrf": csrf}, follow_redirects=True)
    assert "Give it back" in taken.text
    other = dan.get("/approvals").text
    assert "opr_cleo is reading it" in other
    refused = dan.post(f"/reviews/{review_id}/claim", data={"csrf": _hidden(other, "csrf")})
    assert refused.status_code == 409
    assert "Another person is reading it" in refused.text
    assert cleo.post(f"/reviews/{review_id}/claim", data={"csrf": "x"}).status_code == 403
    given_back = cleo.post(f"/reviews/{review_id}/release", data={"csrf": csrf}, follow_redirects=True)
    assert "opr_cleo is reading it" not in given_back.text


def test_a_payment_s_card_names_payee_and_account(world: EdgeWorld) -> None:
    stage = Stage(world)
    stage.add_payee()
    (waiting,) = stage.play("pay EUR 20.00 to B1", pay(2_000))
    cleo = console(world, "cleo")
    page = cleo.get("/approvals").text
    assert "<dt>Account</dt><dd>••3000</dd>" in page
    assert "screening clear" in page
    form = cleo.get(
        f"/proposals/{waiting['decision']['proposal_id']}/verdict", params={"verdict": "approve"}, headers={"HX-Request": "true"}
    )
    assert "Approve EUR 20.00 to Ottoline Verhage, account ••4300" in form.text
    story = cleo.get(f"/decisions/{waiting['decision']['decision_id']}").text
    assert "data-story" in story
    assert "review" in story[story.index("data-story") :]
    stranger = {**pay(2_000), "beneficiary": "T1"}
    (wrong,) = stage.play("pay EUR 20.00 to T1", stranger)
    shown = cleo.get(f"/decisions/{wrong['decision']['decision_id']}").text
    assert "<dt>Payee</dt><dd>not a record of this customer</dd>" in shown


def test_acts_without_money_say_what_they_change(world: EdgeWorld) -> None:
    stage = Stage(world)
    (card,) = stage.play("block C1", {"kind": "card_block", "card": "C1", "reason_code": "card_compromised"})
    cleo = console(world, "cleo")
    shown = cleo.get(f"/decisions/{card['decision']['decision_id']}").text
    assert "<dt>Card</dt><dd>visa •••• 4242; active</dd>" in shown
    assert "no money" in shown


def test_freeze_and_thaw_from_the_page(world: EdgeWorld) -> None:
    kim, lee = console(world, "kim"), console(world, "lee")
    page = kim.get("/operations").text
    assert "Nothing was ever frozen" in page
    form = {"csrf": _hidden(page, "csrf"), "scope": "kind", "kind": "refund", "operator": ""}
    silent = kim.post("/operations/freezes", data={**form, "reason": " "})
    assert (silent.status_code, "Say why" in silent.text) == (422, True)
    frozen = kim.post("/operations/freezes", data={**form, "reason": "odd refunds"}, follow_redirects=True).text
    assert "odd refunds" in frozen
    freeze_id = re.findall(r'data-freeze="(frz_[0-9a-f]{32})"', frozen)[0]
    assert f"/operations/freezes/{freeze_id}/thaw" not in frozen
    answer = world.ask(world.sign_in(), "charged twice?").json()
    assert [one["code"] for one in answer["reasons"]] == ["frozen"]
    theirs = lee.get("/operations").text
    assert f"/operations/freezes/{freeze_id}/thaw" in theirs
    own = kim.post(f"/operations/freezes/{freeze_id}/thaw", data={"csrf": form["csrf"]})
    assert own.status_code == 403
    thawed = lee.post(f"/operations/freezes/{freeze_id}/thaw", data={"csrf": _hidden(theirs, "csrf")}, follow_redirects=True)
    assert "ended by opr_lee" in thawed.text
    assert console(world, "ada").get("/operations").status_code == 403
    ira = console(world, "ira").get("/operations").text
    assert "/operations/freezes" not in ira


def test_what_was_paid_today(world: EdgeWorld) -> None:
    world.ask(world.sign_in(), "charged twice?")
    today = datetime.now(UTC).date().isoformat()
    cleo = world.sign_in("cleo")
    digest = cleo.get("/api/v1/digest", params={"day": today}).json()
    line = {"action_kind": "refund", "currency": "EUR", "acts": 1, "amount_minor": 4_990, "largest_minor": 4_990}
    assert (digest["day"], digest["lines"]) == (today, [line])
    assert (digest["proposed_by"], digest["approved_by"], digest["decisions"]) == ({"ada": 1}, {}, {"allow": 1})
    assert cleo.get("/api/v1/digest", params={"day": "2020-01-01"}).json()["lines"] == []
    assert cleo.get("/api/v1/digest", params={"day": "yesterday"}).status_code == 422
    assert world.sign_in("ada").get("/api/v1/digest").status_code == 403
    assert "EUR 49.90" in console(world, "kim").get("/operations").text
    world.agents.script = lambda _: iter([done()])
    world.stop("money")
    down = console(world, "kim").get("/operations")
    assert down.status_code == 503
