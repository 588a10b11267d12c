"""Who may see which class in which form, and what beside a role it takes."""

from __future__ import annotations

from itertools import combinations

import pytest

from domain.roles import Role
from masking.classes import PiiClass
from masking.entitlements import (
    DEFAULT_ENTITLEMENTS,
    EVERY_CONDITION,
    TOOL_ENTITLEMENTS,
    Condition,
    Entitlement,
    Entitlements,
    Purpose,
    View,
    Viewer,
    render_value,
    view_for,
)

PAPERS = (PiiClass.NATIONAL_ID, PiiClass.PASSPORT, PiiClass.LICENSE)


def _view(pii_class: PiiClass, *roles: Role, purpose: Purpose = Purpose.CONVERSATION, **more: frozenset[Condition]) -> View:
    return view_for(DEFAULT_ENTITLEMENTS, Viewer("eli", frozenset(roles), purpose, **more), pii_class)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("purpose", Purpose)
def test_secrets_are_for_nobody(role: Role, purpose: Purpose) -> None:
    assert _view(PiiClass.SECRET, role, purpose=purpose) is View.HIDDEN


@pytest.mark.parametrize("pii_class", sorted(set(PiiClass) - {PiiClass.PERSON, PiiClass.LITERAL}))
def test_a_list_of_customers_shows_names_alone(pii_class: PiiClass) -> None:
    assert _view(pii_class, *Role, purpose=Purpose.CUSTOMER_LIST) is View.HIDDEN


@pytest.mark.parametrize("pii_class", sorted(set(PiiClass) - {PiiClass.SECRET}))
def test_every_class_has_a_form_for_somebody(pii_class: PiiClass) -> None:
    assert _view(pii_class, *Role) is not View.HIDDEN


def test_numbers_are_for_nobody_at_the_desk_in_full() -> None:
    for pii_class in (PiiClass.CARD, PiiClass.WALLET, PiiClass.CUSTOMER_ID, PiiClass.ROUTING):
        assert {_view(pii_class, role) for role in (Role.SUPPORT, Role.APPROVER)} == {View.LAST4}


def test_papers_in_full_take_all_their_conditions() -> None:
    needed = {Condition.OWN_CASE, Condition.OFFICE_NETWORK, Condition.NOT_SENSITIVE}
    for size in range(len(EVERY_CONDITION) + 1):
        for met in combinations(EVERY_CONDITION, size):
            expected = View.PLAIN if needed <= set(met) else View.LAST4
            assert {_view(pii_class, Role.INVESTIGATOR, meets=frozenset(met)) for pii_class in PAPERS} == {expected}
    for pii_class in PAPERS:
        assert _view(pii_class, Role.SUPPORT) is View.HIDDEN


def test_of_several_the_most_that_holds() -> None:
    key = (Role.SUPPORT, PiiClass.CARD, Purpose.REVIEW)
    office = Entitlement(View.PLAIN, frozenset({Condition.OFFICE_NETWORK}))
    table: Entitlements = {key: (office, Entitlement(View.MASKED)), (Role.APPROVER, *key[1:]): View.LAST4}

    def view(*roles: Role, meets: frozenset[Condition]) -> View:
        return view_for(table, Viewer("eli", frozenset(roles), Purpose.REVIEW, meets), PiiClass.CARD)

    assert view(Role.SUPPORT, meets=frozenset()) is View.MASKED
    assert view(Role.SUPPORT, meets=EVERY_CONDITION) is View.PLAIN
    assert view(Role.SUPPORT, Role.APPROVER, meets=frozenset()) is View.LAST4
    assert view(Role.AUDITOR, meets=EVERY_CONDITION) is View.HIDDEN
    assert view(meets=EVERY_CONDITION) is View.HIDDEN


def test_no_tool_resolves_a_secret_or_a_literal() -> None:
    for classes in TOOL_ENTITLEMENTS.values():
        assert not classes & {PiiClass.SECRET, PiiClass.LITERAL}
    assert TOOL_ENTITLEMENTS["search"] == frozenset()


@pytest.mark.parametrize("pii_class", PAPERS)
def test_who_says_nothing_of_conditions_meets_none(pii_class: PiiClass) -> None:
    assert _view(pii_class, Role.INVESTIGATOR) is View.LAST4


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("1985-04-12", "1985-••-••"),
        ("12.4.1985", "1985-••-••"),
        ("12/04/1985", "1985-••-••"),
        ("April 12, 1985", "1985-••-••"),
        ("20 12 1985", "1985-••-••"),
        # Four digits of these are, or may be, the day and the month.
        ("12041985", "••••"),
        ("20121985", "••••"),
        ("2012 1985", "••••"),
        ("1912 85", "••••"),
        ("04.12.85", "••••"),
        ("1204", "••••"),
    ],
)
def test_of_a_birth_date_the_year_alone_is_left(written: str, shown: str) -> None:
    assert render_value(PiiClass.BIRTH_DATE, written, View.MASKED) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("4111 1111 1111 1234", "•••• 1234"),
        ("12-34-56-78", "•••• 5678"),
        ("1234567", "••••"),
        ("20-00-00", "••••"),
        ("1234", "••••"),
        ("A", "••••"),
    ],
)
def test_last_four_never_show_more_than_they_hide(written: str, shown: str) -> None:
    assert render_value(PiiClass.ACCOUNT, written, View.LAST4) == shown
