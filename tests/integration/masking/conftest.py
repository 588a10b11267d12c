"""A masker on the real model, the real vault and a fresh tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from domain.roles import Role
from masking.classes import PiiClass
from masking.detection import Detector, build_detector
from masking.entitlements import Entitlements, Purpose, View, Viewer
from masking.keys import KeyProvider
from masking.masker import Masker, MaskScope
from masking.unmask import RevealScope, Unmasker
from masking.vault import Transact, Vault
from tests.conftest import Database, Tenant
from tests.doubles.masking_keys import FixedKeyProvider

NER_FOLDER = Path(__file__).parents[3] / "var" / "models" / "ner"
FULL: Entitlements = {(Role.INVESTIGATOR, pii_class, purpose): View.PLAIN for pii_class in PiiClass for purpose in Purpose}
EVERYTHING = Viewer("eli", frozenset({Role.INVESTIGATOR}), Purpose.CONVERSATION)


@dataclass(frozen=True, slots=True)
class Boundary:
    """The parts as wiring joins them, and one conversation about one customer."""

    tenant_id: str
    keys: KeyProvider
    transact: Transact
    vault: Vault
    masker: Masker
    unmasker: Unmasker
    scope: MaskScope
    reveal_scope: RevealScope

    def read(self, text: Any, message_id: str | None = None) -> str:
        """Unmask with full entitlement."""
        return self.unmasker.unmask_text(text, viewer=EVERYTHING, scope=self.reveal_scope, message_id=message_id)


@pytest.fixture(scope="session")
def detector() -> Detector:
    """The real detector: it needs the name model that the set-up made."""
    return build_detector(NER_FOLDER, regions=("GB", "DE"))


@pytest.fixture
def transact_for(database: Database) -> Iterator[Callable[[Tenant], Transact]]:
    """Transactions of role `vault`, on one connection."""
    with psycopg.connect(database.dsn("vault"), autocommit=True) as connection:

        def for_tenant(tenant: Tenant) -> Transact:
            @contextmanager
            def transact(tenant_id: str) -> Iterator[Connection[Any]]:
                assert tenant_id == tenant.tenant_id
                with connection.transaction():
                    connection.execute("SELECT SET_CONFIG('tellergate.context', %s, TRUE)", [tenant.context("vault")])
                    yield connection

            return transact

        yield for_tenant


@pytest.fixture
def boundary(tenant: Tenant, detector: Detector, transact_for: Callable[[Tenant], Transact]) -> Boundary:
    """A boundary of a fresh tenant."""
    return make_boundary(tenant, detector, transact_for(tenant))


def make_boundary(tenant: Tenant, detector: Detector, transact: Transact) -> Boundary:
    """Join the parts."""
    keys = FixedKeyProvider()
    vault = Vault(keys)
    conversation_id = "cnv_" + "0" * 32
    return Boundary(
        tenant_id=tenant.tenant_id,
        keys=keys,
        transact=transact,
        vault=vault,
        masker=Masker(detector=detector, vault=vault, keys=keys, transact=transact),
        unmasker=Unmasker(keys=keys, transact=transact, entitlements=FULL),
        scope=MaskScope(tenant.tenant_id, conversation_id, "cus_one"),
        reveal_scope=RevealScope(tenant.tenant_id, conversation_id, "cus_one"),
    )
