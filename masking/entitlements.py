"""Who may see which class, for which purpose, in which form. Data; the checks are in `unmask`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.roles import Role
from masking.classes import PiiClass


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


_ORDER = tuple(View)
Entitlements = Mapping[tuple[Role, PiiClass, Purpose], View]
"""What is not listed is hidden."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Hold who looks, with every role he has, and why."""

    actor: str
    roles: frozenset[Role]
    purpose: Purpose


def view_for(entitlements: Entitlements, viewer: Viewer, pii_class: PiiClass) -> View:
    """Return the most that any of the viewer's roles may see."""
    views = [entitlements.get((role, pii_class, viewer.purpose), View.HIDDEN) for role in viewer.roles]
    return min(views, key=_ORDER.index, default=View.HIDDEN)


def render_value(pii_class: PiiClass, value: str, view: View) -> str:
    """Write a value in the form that may be seen."""
    if view is View.PLAIN:
        return value
    if view is View.LAST4:
        kept = [character for character in value if character.isalnum()][-4:]
        return "•••• " + "".join(kept)
    if view is View.MASKED:
        return _mask(pii_class, value)
    return chip_for(pii_class)


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
    if pii_class is PiiClass.BIRTH_DATE and (year := re.search(r"\d{4}", value)):
        return f"{year[0]}-••-••"
    return "••••"


def _table() -> Entitlements:
    plain, last4, masked = View.PLAIN, View.LAST4, View.MASKED
    contact = {
        PiiClass.PERSON: plain,
        PiiClass.EMAIL: plain,
        PiiClass.PHONE: plain,
        PiiClass.ADDRESS: plain,
        PiiClass.LITERAL: plain,
    }
    numbers = {PiiClass.CARD: last4, PiiClass.IBAN: last4, PiiClass.ACCOUNT: last4, PiiClass.ROUTING: last4}
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
        Role.APPROVER: contact | numbers | {PiiClass.PHONE: masked, PiiClass.EMAIL: masked, PiiClass.ADDRESS: masked},
        Role.AUDITOR: everything_masked,
        Role.ADMIN: {PiiClass.LITERAL: plain},
    }
    table: dict[tuple[Role, PiiClass, Purpose], View] = {}
    for role, views in by_role.items():
        for pii_class, view in views.items():
            if pii_class is PiiClass.SECRET:
                continue
            for purpose in Purpose:
                # A list of customers is for finding one: names, and nothing to copy.
                if purpose is not Purpose.CUSTOMER_LIST or pii_class in {PiiClass.PERSON, PiiClass.LITERAL}:
                    table[role, pii_class, purpose] = view
    return table


DEFAULT_ENTITLEMENTS: Entitlements = _table()
