"""What resolves, for whom: tools within their classes, and nothing that was forged, damaged or pasted from elsewhere."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from masking.classes import PiiClass
from masking.entitlements import Purpose
from masking.tokens import find_tokens, mint_token
from masking.unmask import RevealScope, ToolNotEntitled, UnknownReference, Unmasker
from masking.vault import PiiItem, Transact, Vault
from tests.conftest import ConnAs, Tenant
from tests.doubles.masking_keys import FixedKeyProvider
from tests.integration.masking.conftest import EVERYTHING, FULL

VALUES = {
    PiiClass.PERSON: "Marta Kowalska", PiiClass.IBAN: "DE89370400440532013000", PiiClass.CARD: "4111111111111111",
    PiiClass.BIRTH_DATE: "1984-02-29",
}  # fmt: skip


class Desk:
    """A conversation that may resolve one value of each class, and one value that it may not."""

    def __init__(self, tenant: Tenant, transact: Transact) -> None:
        keys, vault = FixedKeyProvider(), Vault(FixedKeyProvider())
        self.scope = RevealScope(tenant.tenant_id, "cnv_one", "cus_one")
        self.unmasker = Unmasker(keys=keys, transact=transact, entitlements=FULL)
        items = [PiiItem(pii_class, value, "cus_one") for pii_class, value in VALUES.items()]
        stranger = PiiItem(PiiClass.IBAN, "GB33BUKB20201555555555", "cus_two")
        with transact(tenant.tenant_id) as conn:
            tokens = vault.tokenize_many(conn, [*items, stranger], tenant_id=tenant.tenant_id)
            vault.grant_tokens(conn, tokens[:-1], tenant_id=tenant.tenant_id, conversation_id="cnv_one")
        self.tokens, self.foreign = dict(zip(VALUES, tokens[:-1], strict=True)), tokens[-1]

    def resolve(self, tool: str, *tokens: str) -> Any:
        return self.unmasker.resolve_for_tool(tool, tokens, scope=self.scope, actor="executor")


@pytest.fixture
def desk(tenant: Tenant, transact_for: Callable[[Tenant], Transact]) -> Desk:
    return Desk(tenant, transact_for(tenant))


def _audited(conn_as: ConnAs, tenant: Tenant) -> list[Any]:
    return conn_as("auditor", tenant).execute("SELECT actor, roles, purpose, class, shown FROM vault.pii_reveals").fetchall()


def test_a_tool_gets_its_classes_on_the_record(desk: Desk, conn_as: ConnAs, tenant: Tenant) -> None:
    iban, person = desk.tokens[PiiClass.IBAN], desk.tokens[PiiClass.PERSON]
    assert desk.resolve("bank_instruction", iban, person, iban) == {
        iban: VALUES[PiiClass.IBAN],
        person: VALUES[PiiClass.PERSON],
    }
    assert sorted(_audited(conn_as, tenant)) == [
        ("executor", "tool:bank_instruction", "tool", "IBAN", "plain"),
        ("executor", "tool:bank_instruction", "tool", "PERSON", "plain"),
    ]
    assert desk.resolve("search") == {}


@pytest.mark.parametrize(
    ("tool", "pii_class"),
    [
        ("bank_instruction", PiiClass.CARD),
        ("bank_instruction", PiiClass.BIRTH_DATE),
        ("screening", PiiClass.IBAN),
        ("search", PiiClass.PERSON),
        ("no_such_tool", PiiClass.PERSON),
    ],
)
def test_another_class_is_refused_with_all_that_was_asked(
    desk: Desk, tool: str, pii_class: PiiClass, conn_as: ConnAs, tenant: Tenant
) -> None:
    allowed = [desk.tokens[PiiClass.PERSON]] if tool in {"bank_instruction", "screening"} else []
    with pytest.raises(ToolNotEntitled, match=f"{tool} may not resolve {pii_class.value}"):
        desk.resolve(tool, *allowed, desk.tokens[pii_class])
    assert _audited(conn_as, tenant) == []


def test_an_unknown_token_refuses_the_call_and_leaves_no_row(desk: Desk, conn_as: ConnAs, tenant: Tenant) -> None:
    good = desk.tokens[PiiClass.IBAN]
    forged = mint_token(b"x" * 32, pii_class=PiiClass.IBAN, canonical="de89")
    damaged = good[:-3] + ("0" if good[-3] != "0" else "1") + good[-2:]
    for bad in (desk.foreign, forged, damaged, good.upper(), f" {good}", f"{good}{good}", "DE89", ""):
        with pytest.raises(UnknownReference):
            desk.resolve("bank_instruction", good, bad)
    assert _audited(conn_as, tenant) == []


@pytest.mark.parametrize("purpose", Purpose)
def test_every_purpose_can_stand_in_the_record(desk: Desk, purpose: Purpose) -> None:
    token = desk.tokens[PiiClass.PERSON]
    shown = desk.unmasker.unmask_text(token, viewer=replace(EVERYTHING, purpose=purpose), scope=desk.scope)
    assert shown == VALUES[PiiClass.PERSON]


def test_a_reveal_without_a_purpose_is_none(tenant: Tenant, transact_for: Callable[[Tenant], Transact]) -> None:
    transact = transact_for(tenant)
    for purpose in ("", "curious"):
        with pytest.raises(psycopg.errors.CheckViolation), transact(tenant.tenant_id) as conn:
            conn.execute("SELECT * FROM vault.read_known_values('ada', %s, ARRAY['cus_one'])", [purpose])


def test_of_a_thousand_forged_foreign_and_damaged_tokens_none_resolves(desk: Desk, conn_as: ConnAs, tenant: Tenant) -> None:
    rng = random.Random(5)
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    real = list(desk.tokens.values())
    forged = [mint_token(rng.randbytes(32), pii_class=rng.choice(list(VALUES)), canonical="x") for _ in range(400)]
    damaged: list[str] = []
    while len(damaged) < 600:
        token = rng.choice(real)
        place = rng.randrange(token.rindex("_") + 1, len(token) - 1)
        other = rng.choice(alphabet)
        if token[place] not in {other, "-"}:
            damaged.append(token[:place] + other + token[place + 1 :])
    text = " ".join([*forged, *damaged, desk.foreign])
    shown = desk.unmasker.unmask_text(text, viewer=EVERYTHING, scope=desk.scope)
    assert shown == " ".join(["[unknown reference]"] * 1001)
    assert all(match.token is None for token in damaged for match in find_tokens(token))
    assert _audited(conn_as, tenant) == []
