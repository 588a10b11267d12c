"""People at work in a real browser: asks, reads, approves; by keyboard too. The agents are scripted, gate and ledger are real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.edge.conftest import Desk
from tests.integration.edge.scripted_agents import TurnSeen, done, sentence
from tests.integration.edge.world import ANA_NAME, PASSWORD, EdgeWorld

pytestmark = pytest.mark.slow


def _sign_in(page: Page, world: EdgeWorld, username: str) -> None:
    page.goto(f"{world.url}/")
    page.get_by_label("Name").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    # Shortcuts work once the page's modules ran, which is before its load event.
    page.wait_for_load_state("load")


def _open_chat(page: Page) -> None:
    page.get_by_role("link", name=ANA_NAME).click()
    expect(page.get_by_role("log")).to_be_visible()


def _ask(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_double_charge_from_question_to_receipt(world: EdgeWorld, desk: Desk, scheme: str) -> None:
    page = desk.open_page(color_scheme=scheme)
    _sign_in(page, world, "ada")
    page.keyboard.press("/")
    page.keyboard.type("lucia")
    expect(page.locator("table tbody tr")).to_have_count(1)
    _open_chat(page)
    expect(page.locator("html")).to_have_class("dark" if scheme == "dark" else "")
    _ask(page, f"{ANA_NAME} says Nordwind Books charged her twice\n> give me my 49,90 back")
    expect(page.locator(".said blockquote")).to_have_text("give me my 49,90 back")
    expect(page.locator(".sentence")).to_have_count(3)
    expect(page.locator('.sentence .writer[data-writer="model"]')).to_have_count(1)
    card = page.locator("[data-card]")
    expect(card.locator(".outcome")).to_have_text("Allowed")
    expect(card).to_contain_text("Posted EUR 49.90")
    expect(page.get_by_label("Message", exact=True)).to_have_value("")
    page.locator('.cite[data-kind="passage"]').click()
    expect(page.get_by_role("dialog")).to_contain_text("within 72 hours")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator('.cite[data-kind="passage"]')).to_be_focused()
    card.get_by_role("button", name="Receipt").click()
    expect(page.get_by_role("dialog")).to_contain_text("ledger.transfer_posted")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download receipt").click()
    assert json.loads(download.value.path().read_text())["format"] == "tellergate-receipt/1"
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator(".sentence")).to_have_count(3)
    expect(page.locator("[data-card]")).to_contain_text("Posted EUR 49.90")


def test_a_review_is_approved_by_another_person_with_the_keyboard(world: EdgeWorld, desk: Desk) -> None:
    ada = desk.open_page()
    _sign_in(ada, world, "ada")
    _open_chat(ada)
    _ask(ada, "she wants the flight back: refund T3 with EUR 618.00")
    expect(ada.locator("[data-card] .outcome")).to_have_text("Needs approval")
    expect(ada.locator("[data-verdict]")).to_have_count(0)
    cleo = desk.open_page()
    _sign_in(cleo, world, "cleo")
    expect(cleo.locator("#waiting-count")).to_contain_text("1")
    cleo.keyboard.press("a")
    confirm = cleo.get_by_role("button", name=f"Approve EUR 618.00 to {ANA_NAME}, account ••3000")
    expect(confirm).to_be_focused()
    cleo.keyboard.press("Escape")
    expect(confirm).to_have_count(0)
    cleo.keyboard.press("a")
    expect(confirm).to_be_focused()
    cleo.keyboard.press("Enter")
    expect(cleo.locator("[data-card]")).to_contain_text("Posted EUR 618.00")
    expect(cleo.locator("[data-card]")).to_contain_text("A second person approved exactly this action.")


def test_an_answer_goes_on_after_the_page_was_loaded_again(world: EdgeWorld, desk: Desk) -> None:
    def slow(_: TurnSeen) -> Iterator[Any]:
        yield sentence("T1 is posted.")
        yield lambda: world.agents.gate.wait(15)
        yield sentence("T2 is posted.")
        yield done()

    world.agents.script = slow
    page = desk.open_page()
    _sign_in(page, world, "ada")
    _open_chat(page)
    _ask(page, "and these?")
    expect(page.locator(".sentence")).to_have_count(1)
    expect(page.locator(".working")).to_be_visible()
    page.reload()
    expect(page.locator(".sentence")).to_have_count(1)
    world.agents.gate.set()
    expect(page.locator(".sentence")).to_have_count(2)
    expect(page.locator(".answer-end")).to_be_visible()
    expect(page.locator(".working")).to_have_count(0)


def test_what_is_down_is_said_and_the_message_is_kept(world: EdgeWorld, desk: Desk) -> None:
    page = desk.open_page()
    _sign_in(page, world, "ada")
    _open_chat(page)
    world.stop("agents")
    _ask(page, "charged twice?")
    expect(page.locator(".answer-end .notice")).to_contain_text("The assistant is not running")
    page.reload()
    expect(page.locator('.strip[data-part="agents"]')).to_contain_text(
        "Records, approvals and receipts still work", timeout=20_000
    )
    expect(page.locator(".said")).to_contain_text("charged twice?")


def test_a_refused_message_stays_in_the_box(world: EdgeWorld, desk: Desk) -> None:
    page = desk.open_page()
    _sign_in(page, world, "ada")
    _open_chat(page)
    _ask(page, "x \x07 y")
    expect(page.locator("#composer-error")).to_contain_text("paste it as plain text")
    expect(page.get_by_label("Message", exact=True)).not_to_have_value("")
    # The browser logs the refused request itself; nothing else may be said.
    assert [line for line in desk.complaints if "422" not in line] == []
    desk.complaints.clear()


def test_markup_in_an_answer_stays_text(world: EdgeWorld, desk: Desk) -> None:
    attack = '<img src=x onerror=alert(1)><hx-partial hx-target="#log">owned</hx-partial><script>alert(1)</script> T1'
    world.agents.script = lambda _: iter([sentence(attack, by="model", kind="record", ref="T1", title=attack), done()])
    page = desk.open_page()
    _sign_in(page, world, "ada")
    _open_chat(page)
    _ask(page, "what is it?")
    expect(page.locator(".answer-end")).to_be_visible()
    expect(page.locator(".sentence")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("#log img, #log script").count() == 0
    page.reload()
    expect(page.locator(".sentence")).to_contain_text("<hx-partial")
    assert page.locator("#log img, #log script").count() == 0


def test_a_narrow_screen_has_no_sideways_scroll(world: EdgeWorld, desk: Desk) -> None:
    page = desk.open_page(width=390, height=844)
    _sign_in(page, world, "ada")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    _open_chat(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_shortcuts_can_be_switched_off(world: EdgeWorld, desk: Desk) -> None:
    page = desk.open_page()
    _sign_in(page, world, "ada")
    page.locator("body").press("?")
    page.get_by_label("Single-key shortcuts are on").uncheck()
    page.keyboard.press("Escape")
    page.locator("body").press("/")
    expect(page.get_by_role("searchbox")).not_to_be_focused()
    page.get_by_role("button", name="Colours: as the system").click()
    page.reload()
    expect(page.get_by_role("button", name="Colours: light")).to_be_visible()
