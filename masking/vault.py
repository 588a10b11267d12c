"""Values in, tokens out; the same value is always the same token in a tenant. Reading back is `unmask`'s, but for recognising.

Every connection here is one of role `vault` inside a transaction that has the tenant's context.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from psycopg import Connection

from domain.errors import BrokenInvariant
from domain.origin import Origin
from masking.classes import PiiClass, canonical_form
from masking.data_keys import data_keys_of, list_erased, unwrap_data_key
from masking.keys import KeyProvider, TenantKeys
from masking.number_prints import insert_prints
from masking.sealing import bind_surface, bind_value, open_sealed, seal
from masking.tokens import mint_token
from storage.named_queries import load_queries

QUERIES = load_queries(Path(__file__).parent / "sql" / "vault.sql")
_BATCH_SIZE = 5_000
_MAX_CLASHES = 8
_COUNTER_BITS = 62

Source = Literal["record", "text", "message"]
"""Who brought a value: the record's own field, what a stranger wrote into the record, or a message. Only the first is known."""
# Whose word a value is, from most to least.
_BY_TRUST = (
    Origin.LEDGER, Origin.KYC_VERIFIED, Origin.STAFF, Origin.DERIVED, Origin.CUSTOMER_TEXT, Origin.DOCUMENT,
    Origin.KNOWLEDGE_BASE, Origin.MODEL,
)  # fmt: skip
Transact = Callable[[str], AbstractContextManager[Connection[Any]]]
"""Open a transaction of role `vault` for a tenant id; it commits when the block ends well."""
SealedRow = tuple[str, str, int | None, str, bytes, int, bytes, int]
"""Shape: token, class, ordinal, subject_id, ciphertext, key_version, wrapped_key, wrap_version."""


class TokenClash(BrokenInvariant):
    """Say that a value found no free token, which 40 bits and eight tries, all but the first at random, make impossible."""

    code = "token_clash"


@dataclass(frozen=True, slots=True)
class PiiItem:
    """Hold one value to be tokenized. `subject_id` is whose it is: the customer of the record or of the conversation."""

    pii_class: PiiClass
    value: str = field(repr=False)
    subject_id: str


@dataclass(frozen=True, slots=True)
class KnownValue:
    """Hold one value that a subject's record has, in the open: for recognising, never for showing."""

    pii_class: PiiClass
    value: str = field(repr=False)
    token: str


@dataclass(frozen=True, slots=True)
class KnownValues:
    """Hold what is known of a subject. `version` changes with the set, so it may key a cache."""

    subject_id: str
    version: str
    values: tuple[KnownValue, ...]


@dataclass(frozen=True, slots=True)
class _Minted:
    """An item on its way: what it is, its fingerprint, and whose it is."""

    item: PiiItem
    canonical: str
    fingerprint: bytes


class Vault:
    """Tokenize values and keep them sealed."""

    def __init__(self, keys: KeyProvider) -> None:
        self._keys = keys

    def tokenize(self, conn: Connection[Any], item: PiiItem, *, tenant_id: str, source: Source = "record") -> str:
        """Return the token of one value. Idempotent. Raises: EmptyValue, TenantKeyMissing, SubjectErased."""
        return self.tokenize_many(conn, [item], tenant_id=tenant_id, source=source)[0]

    def tokenize_many(
        self, conn: Connection[Any], items: Sequence[PiiItem], *, tenant_id: str, source: Source = "record"
    ) -> list[str]:
        """Return the tokens of many values, in their order. Idempotent. A SECRET gets a token and is not stored.

        Raises: EmptyValue, TenantKeyMissing, SubjectErased.
        """
        keys = self._keys.tenant_keys(tenant_id)
        tokens: list[str] = []
        for start in range(0, len(items), _BATCH_SIZE):
            batch = [_fingerprint(keys, item) for item in items[start : start + _BATCH_SIZE]]
            found = _find_or_mint(conn, keys, batch)
            _store_values(conn, self._keys, keys, batch, found, source)
            tokens += [found[_identity(minted)] for minted in batch]
        return tokens

    def grant_tokens(
        self,
        conn: Connection[Any],
        tokens: Iterable[str],
        *,
        tenant_id: str,
        conversation_id: str,
        origin: Origin = Origin.STAFF,
    ) -> None:
        """Let a conversation resolve these tokens, and keep the most trusted origin of each. Idempotent. SECRET has none."""
        wanted = sorted({token for token in tokens if not _is_secret(token)})
        if wanted:
            scope = {"tenant_id": tenant_id, "conversation_id": conversation_id, "tokens": wanted}
            conn.execute(QUERIES["grant_tokens"], scope | {"origin": origin.value, "by_trust": list(_BY_TRUST)})

    def list_granted(self, conn: Connection[Any], *, tenant_id: str, conversation_id: str) -> frozenset[str]:
        """Return the tokens that a conversation may resolve."""
        rows = conn.execute(QUERIES["list_grants"], {"tenant_id": tenant_id, "conversation_id": conversation_id})
        return frozenset(row[0] for row in rows)

    def store_surfaces(
        self,
        conn: Connection[Any],
        surfaces: Sequence[tuple[int, str, str]],
        *,
        tenant_id: str,
        message_id: str,
        subject_id: str,
    ) -> None:
        """Keep how each value was written in a message. Shape: (ordinal of the token, token, written form).

        Idempotent. Raises: SubjectErased.
        """
        kept = [surface for surface in surfaces if not _is_secret(surface[1])]
        if not kept:
            return
        keys = self._keys.tenant_keys(tenant_id)
        version, data_key = data_keys_of(conn, self._keys, keys, [subject_id])[subject_id]
        ciphertexts = [
            seal(data_key, written.encode(), bound_to=bind_surface(tenant_id, message_id, ordinal, token, version))
            for ordinal, token, written in kept
        ]
        row = {"tenant_id": tenant_id, "message_id": message_id, "subject_id": subject_id, "key_version": version}
        columns = {"ordinals": [part[0] for part in kept], "tokens": [part[1] for part in kept], "ciphertexts": ciphertexts}
        conn.execute(QUERIES["insert_surfaces"], row | columns)

    def known_values(self, transact: Transact, *, tenant_id: str, subject_id: str, actor: str) -> KnownValues:
        """Return what is known of a subject: nothing once he was erased. Its audit row is committed before anything is opened."""
        many = self.known_values_many(transact, tenant_id=tenant_id, subject_ids=[subject_id], actor=actor)
        return many[subject_id]

    def known_values_many(
        self, transact: Transact, *, tenant_id: str, subject_ids: Collection[str], actor: str
    ) -> Mapping[str, KnownValues]:
        """Return what is known of each subject, in one look-up with one audit row a subject."""
        with transact(tenant_id) as conn:
            asked = {"actor": actor, "purpose": "mask", "subjects": sorted(set(subject_ids))}
            rows: list[SealedRow] = conn.execute(QUERIES["read_known_values"], asked).fetchall()
        keys = keys_for(self._keys, tenant_id, rows)
        values: dict[str, list[KnownValue]] = {subject_id: [] for subject_id in subject_ids}
        for row in rows:
            values[row[3]].append(KnownValue(PiiClass(row[1]), open_value(keys, row), row[0]))
        return {subject_id: _known(subject_id, held) for subject_id, held in values.items()}

    def list_erased(self, conn: Connection[Any], subjects: Collection[str], *, tenant_id: str) -> frozenset[str]:
        """Return which of these subjects were erased."""
        return list_erased(conn, sorted(set(subjects)), tenant_id=tenant_id)

    def seal_bytes(self, plaintext: bytes, *, tenant_id: str, place: str) -> bytes:
        """Seal something that is no value, such as a row in quarantine, under the tenant's key and its place."""
        return seal(self._keys.tenant_keys(tenant_id).seal, plaintext, bound_to=f"bytes|{tenant_id}|{place}")

    def open_bytes(self, sealed: bytes, *, tenant_id: str, place: str) -> bytes:
        """Open what `seal_bytes` sealed. Raises: SealBroken."""
        return open_sealed(self._keys.tenant_keys(tenant_id).seal, sealed, bound_to=f"bytes|{tenant_id}|{place}")


def keys_for(provider: KeyProvider, tenant_id: str, rows: Sequence[SealedRow]) -> TenantKeys:
    """Return the keys that open these rows. Raises: TenantKeyMissing."""
    return provider.tenant_keys(tenant_id, at_least=max((row[7] for row in rows), default=1))


def open_value(keys: TenantKeys, row: SealedRow, *, message_id: str | None = None) -> str:
    """Open one sealed row; with an ordinal it is a written form of `message_id`. Raises: SealBroken."""
    token, pii_class, ordinal, subject_id, ciphertext, key_version, wrapped_key, wrap_version = row
    data_key = unwrap_data_key(keys, subject_id, key_version, wrapped_key, wrap_version)
    if ordinal is None:
        place = bind_value(keys.tenant_id, pii_class, token, subject_id, key_version)
    else:
        place = bind_surface(keys.tenant_id, message_id or "", ordinal, token, key_version)
    return open_sealed(data_key, bytes(ciphertext), bound_to=place).decode()


def _known(subject_id: str, values: Sequence[KnownValue]) -> KnownValues:
    version = hashlib.sha256("".join(value.token for value in values).encode()).hexdigest()[:16]
    return KnownValues(subject_id, version, tuple(values))


def _is_secret(token: str) -> bool:
    return token.startswith(f"<{PiiClass.SECRET.value}_")


def _identity(minted: _Minted) -> tuple[str, bytes]:
    return minted.item.pii_class.value, minted.fingerprint


def _fingerprint(keys: TenantKeys, item: PiiItem) -> _Minted:
    canonical = canonical_form(item.pii_class, item.value)
    if item.pii_class is PiiClass.SECRET:
        # A thousand codes are too few to hide in: two customers' same code must not be seen to be the same.
        canonical = f"{item.subject_id}\x1f{canonical}"
    message = f"{item.pii_class.value}\x1f{canonical}".encode()
    return _Minted(item, canonical, hmac.digest(keys.fingerprint, message, hashlib.sha256))


def _find_or_mint(conn: Connection[Any], keys: TenantKeys, batch: Sequence[_Minted]) -> dict[tuple[str, bytes], str]:
    found = {
        _identity(minted): mint_token(keys.token, pii_class=minted.item.pii_class, canonical=minted.canonical)
        for minted in batch
        if minted.item.pii_class is PiiClass.SECRET
    }
    missing = {_identity(minted): minted for minted in batch if _identity(minted) not in found}
    for attempt in range(_MAX_CLASHES + 1):
        found |= _look_up(conn, keys.tenant_id, missing)
        missing = {identity: minted for identity, minted in missing.items() if identity not in found}
        if not missing:
            return found
        if attempt < _MAX_CLASHES:
            # Tokens of erased copies of the value stay taken for ever: counted tries would find each of them again.
            counter = secrets.randbits(_COUNTER_BITS) if attempt else 0
            _insert_tokens(conn, keys, missing, counter)
    raise TokenClash(f"{len(missing)} values found no free token in {_MAX_CLASHES} tries")


def _look_up(conn: Connection[Any], tenant_id: str, wanted: dict[tuple[str, bytes], _Minted]) -> dict[tuple[str, bytes], str]:
    if not wanted:
        return {}
    columns = {"classes": [pii_class for pii_class, _ in wanted], "fingerprints": [print_ for _, print_ in wanted]}
    rows = conn.execute(QUERIES["find_tokens"], {"tenant_id": tenant_id} | columns)
    return {(row[0], bytes(row[1])): row[2] for row in rows}


def _insert_tokens(conn: Connection[Any], keys: TenantKeys, missing: dict[tuple[str, bytes], _Minted], counter: int) -> None:
    tokens = [
        mint_token(keys.token, pii_class=minted.item.pii_class, canonical=minted.canonical, counter=counter)
        for minted in missing.values()
    ]
    columns = {"classes": [pii_class for pii_class, _ in missing], "fingerprints": [print_ for _, print_ in missing]}
    conn.execute(QUERIES["insert_tokens"], {"tenant_id": keys.tenant_id, "tokens": tokens} | columns)


def _store_values(
    conn: Connection[Any],
    provider: KeyProvider,
    keys: TenantKeys,
    batch: Sequence[_Minted],
    found: dict[tuple[str, bytes], str],
    source: Source,
) -> None:
    rows = {
        (found[_identity(minted)], minted.item.subject_id): minted.item
        for minted in batch
        if minted.item.pii_class is not PiiClass.SECRET
    }
    if not rows:
        return
    data_keys = data_keys_of(conn, provider, keys, sorted({subject for _, subject in rows}))
    columns: dict[str, list[Any]] = {"tokens": [], "subjects": [], "classes": [], "ciphertexts": [], "key_versions": []}
    for (token, subject), item in rows.items():
        version, data_key = data_keys[subject]
        place = bind_value(keys.tenant_id, item.pii_class.value, token, subject, version)
        columns["tokens"].append(token)
        columns["subjects"].append(subject)
        columns["classes"].append(item.pii_class.value)
        columns["ciphertexts"].append(seal(data_key, item.value.encode(), bound_to=place))
        columns["key_versions"].append(version)
    conn.execute(QUERIES["insert_values"], {"tenant_id": keys.tenant_id, "source": source} | columns)
    if source != "message":
        conn.execute(QUERIES["promote_values"], {"tenant_id": keys.tenant_id, "source": source} | columns)
    if source == "record":
        insert_prints(conn, keys, [(token, item) for (token, _), item in rows.items()])
