"""Who may see which class, for which purpose, in which form. Data; the checks are in `unmask`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from domain.roles import Role
from masking.classes import PiiClass, canonical_form


class View(StrEnum):
    """Name a form in which a value may be shown, from most to least."""

    PLAIN = "plain"
    LAST4 = "last4"
    MASKED = "masked"
    HIDDEN = "hidden"


class Purpose(StrEnum):
    """Name why a value is shown. It stands in the audit row."""

    CONVERSATION = "conversation"
    CUSTOMER_LIST = "customer_list"
    RECORD = "record"
    REVIEW = "review"
    AUDIT = "audit"
    TOOL = "tool"
    """A program resolves a value to act with it; nobody looks."""
    CLI = "cli"


class Condition(StrEnum):
    """Name what an entitlement may ask for beside a role."""

    OFFICE_NETWORK = "office_network"
    TRUSTED_DEVICE = "trusted_device"
    OWN_CASE = "own_case"
    NOT_SENSITIVE = "not_sensitive"
    """The customer is of no segment that asks for more care."""


EVERY_CONDITION = frozenset(Condition)
_ORDER = tuple(View)
_LEAST_FOR_LAST4 = 8
_PARTS_OF_A_DATE = 3


@dataclass(frozen=True, slots=True)
class Entitlement:
    """Hold one view and what must hold for it."""

    view: View
    needs: frozenset[Condition] = field(default_factory=frozenset)


Entitlements = Mapping[tuple[Role, PiiClass, Purpose], View | tuple[Entitlement, ...]]
"""What is not listed is hidden. A bare view needs nothing; of several entitlements the most that holds counts."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Hold who looks, with every role he has, why, and which conditions he meets."""

    actor: str
    roles: frozenset[Role]
    purpose: Purpose
    meets: frozenset[Condition] = frozenset()


def view_for(entitlements: Entitlements, viewer: Viewer, pii_class: PiiClass) -> View:
    """Return the most that any of the viewer's roles may see, as he meets the conditions."""
    views = [
        entitlement.view
        for role in viewer.roles
        for entitlement in _listed(entitlements, role, pii_class, viewer.purpose)
        if entitlement.needs <= viewer.meets
    ]
    return min(views, key=_ORDER.index, default=View.HIDDEN)


def _listed(entitlements: Entitlements, role: Role, pii_class: PiiClass, purpose: Purpose) -> tuple[Entitlement, ...]:
    listed = entitlements.get((role, pii_class, purpose), ())
    return (Entitlement(listed),) if isinstance(listed, View) else listed


def render_value(pii_class: PiiClass, value: str, view: View) -> str:
    """Write a value in the form that may be seen."""
    if view is View.PLAIN:
        return value
    if view is View.LAST4:
        characters = [character for character in value if character.isalnum()]
        # Never more than is hidden: of a short value four would be all of it, or nearly.
        return "•••• " + "".join(characters[-4:]) if len(characters) >= _LEAST_FOR_LAST4 else "••••"
    if view is View.MASKED:
        return _mask(pii_class, value)
    return chip_for(pii_class)


ERASED_CHIP = "[erased]"
"""What stands in the place of a value that was erased."""


def chip_for(pii_class: PiiClass) -> str:
    """Write what stands in the place of a value that may not be seen."""
    if pii_class is PiiClass.SECRET:
        return "[secret removed]"
    return f"[{pii_class.value.replace('_', ' ').lower()} hidden]"


def _mask(pii_class: PiiClass, value: str) -> str:
    if pii_class is PiiClass.PERSON:
        return " ".join(f"{word[0]}•••" for word in value.split())
    if pii_class is PiiClass.EMAIL and "@" in value:
        return f"{value[0]}•••@{value.rpartition('@')[2]}"
    if pii_class is PiiClass.BIRTH_DATE and (year := _year_of(value)):
        return f"{year}-••-••"
    return "••••"


def _year_of(value: str) -> str | None:
    """Return the year of a written date that has its parts apart; None where four digits might be a day and a month."""
    parts = re.findall(r"\d+|[^\W\d_]+", canonical_form(PiiClass.BIRTH_DATE, value))
    years = [part for part in parts if re.fullmatch(r"(?:19|20)[0-9]{2}", part)]
    return years[0] if len(parts) >= _PARTS_OF_A_DATE and len(years) == 1 else None


def _table() -> Entitlements:
    plain, last4, masked = View.PLAIN, View.LAST4, View.MASKED
    contact = {
        PiiClass.PERSON: plain,
        PiiClass.EMAIL: plain,
        PiiClass.PHONE: plain,
        PiiClass.ADDRESS: plain,
        PiiClass.USERNAME: plain,
        PiiClass.LITERAL: plain,
        PiiClass.OTHER: masked,
    }
    numbers = {
        PiiClass.CARD: last4,
        PiiClass.IBAN: last4,
        PiiClass.ACCOUNT: last4,
        PiiClass.ROUTING: last4,
        PiiClass.WALLET: last4,
        PiiClass.CUSTOMER_ID: last4,
    }
    papers = {PiiClass.NATIONAL_ID: last4, PiiClass.PASSPORT: last4, PiiClass.LICENSE: last4}
    traces = {PiiClass.IP: plain, PiiClass.DEVICE: plain}
    everything_masked = dict.fromkeys(PiiClass, masked) | {PiiClass.LITERAL: plain}
    by_role: dict[Role, dict[PiiClass, View]] = {
        Role.SUPPORT: contact | numbers | {PiiClass.BIRTH_DATE: masked, PiiClass.IP: masked, PiiClass.DEVICE: masked},
        Role.INVESTIGATOR: contact
        | numbers
        | papers
        | traces
        | {PiiClass.BIRTH_DATE: plain, PiiClass.IBAN: plain, PiiClass.ACCOUNT: plain},
        Role.ONBOARDING: contact | numbers | dict.fromkeys(papers, plain) | {PiiClass.BIRTH_DATE: plain},
        Role.APPROVER: contact
        | numbers
        | {PiiClass.PHONE: masked, PiiClass.EMAIL: masked, PiiClass.ADDRESS: masked, PiiClass.USERNAME: masked},
        Role.AUDITOR: everything_masked,
        Role.ADMIN: {PiiClass.LITERAL: plain},
    }
    table: dict[tuple[Role, PiiClass, Purpose], View | tuple[Entitlement, ...]] = {}
    for role, views in by_role.items():
        for pii_class, view in views.items():
            if pii_class is PiiClass.SECRET:
                continue
            for purpose in Purpose:
                # A list of customers is for finding one: names, and nothing to copy.
                if purpose is not Purpose.CUSTOMER_LIST or pii_class in {PiiClass.PERSON, PiiClass.LITERAL}:
                    table[role, pii_class, purpose] = view
    # Papers in full: to the investigator of the case, at his desk, unless the customer asks for more care.
    in_full = Entitlement(plain, frozenset({Condition.OWN_CASE, Condition.OFFICE_NETWORK, Condition.NOT_SENSITIVE}))
    for pii_class in papers:
        for purpose in Purpose:
            if purpose is not Purpose.CUSTOMER_LIST:
                table[Role.INVESTIGATOR, pii_class, purpose] = (Entitlement(last4), in_full)
    return table


DEFAULT_ENTITLEMENTS: Entitlements = _table()

TOOL_ENTITLEMENTS: Mapping[str, frozenset[PiiClass]] = {
    "bank_instruction": frozenset({PiiClass.IBAN, PiiClass.ACCOUNT, PiiClass.ROUTING, PiiClass.PERSON}),
    "screening": frozenset({PiiClass.PERSON, PiiClass.BIRTH_DATE}),
    "search": frozenset(),
}
"""Which classes a program may resolve, to act with them. A tool that is not here resolves nothing."""
