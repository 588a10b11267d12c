"""A vault on a database of its own: does every text come back byte for byte, and nothing to whom it was not granted?"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection

from bench.masking.labels import LabelledText
from bench.masking.subjects import MODELS_FOLDER
from bench.peer.server import BenchServer
from bench.report import Figure, percentile
from domain.errors import TellergateError
from domain.roles import Role
from masking.classes import PiiClass
from masking.detection import build_detector
from masking.entitlements import Entitlements, Purpose, View, Viewer
from masking.keys import FileKeyProvider
from masking.masker import Masker, MaskScope
from masking.restoring import StreamRestorer
from masking.text import MaskedText
from masking.tokens import UNKNOWN_REFERENCE, find_tokens
from masking.unmask import RevealScope, Unmasker
from masking.vault import PiiItem, Vault
from storage.named_queries import load_queries
from storage.roles import read_role_password
from storage.setup import set_up_database
from storage.tenancy import mint_context, read_context_key

_QUERIES = load_queries(Path(__file__).parents[1] / "sql" / "masking.sql")
_TENANT, _DBNAME = "bench", "tellergate"
_EVERYTHING: Entitlements = {(Role.INVESTIGATOR, pii_class, purpose): View.PLAIN for pii_class in PiiClass for purpose in Purpose}
_VIEWER = Viewer("eli", frozenset({Role.INVESTIGATOR}), Purpose.CONVERSATION)
_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"
_FORGED = 1_000
_AGAIN = 200


@dataclass(frozen=True, slots=True)
class MaskedHere:
    """Hold a text that went through the vault, and where it stands."""

    text: LabelledText
    masked: MaskedText
    scope: MaskScope


class LiveVault:
    """Join the parts as the edge does: detector, vault, masker, way back."""

    def __init__(self, server: BenchServer, connection: Connection[Any]) -> None:
        secrets_dir = server.folder / "secrets"
        context_key = read_context_key(secrets_dir)
        keys = FileKeyProvider(secrets_dir)
        keys.ensure_tenant_keys(_TENANT)

        @contextmanager
        def transact(tenant_id: str) -> Iterator[Connection[Any]]:
            expires_at = datetime.now(UTC) + timedelta(minutes=5)
            context = mint_context(context_key, tenant_id=tenant_id, role="vault", expires_at=expires_at)
            with connection.transaction():
                connection.execute("SELECT SET_CONFIG('tellergate.context', %s, TRUE)", [context])
                yield connection

        self._transact = transact
        self._vault = Vault(keys)
        self.masker = Masker(detector=build_detector(MODELS_FOLDER / "ner"), vault=self._vault, keys=keys, transact=transact)
        self.unmasker = Unmasker(keys=keys, transact=transact, entitlements=_EVERYTHING)

    def mask(self, text: LabelledText) -> MaskedHere:
        """Mask one text in a conversation of its own about the customer whose record comes with it."""
        scope = MaskScope(_TENANT, f"cnv_{text.text_id}", f"cus_{text.text_id}")
        with self._transact(_TENANT) as conn:
            items = [PiiItem(pii_class, value, scope.subject_id) for pii_class, value in text.known]
            self._vault.tokenize_many(conn, items, tenant_id=_TENANT)
        known = self.masker.open_conversation(scope, actor="bench")
        message = self.masker.mask_message(text.text, scope=scope, known_values=known, message_id=f"msg_{text.text_id}")
        return MaskedHere(text, message.masked, scope)

    def restore(self, here: MaskedHere, shown: str | None = None) -> str:
        """Return the text as somebody sees it who may see all; `shown` stands for another text in that conversation."""
        scope = RevealScope(_TENANT, f"cnv_{here.text.text_id}", f"cus_{here.text.text_id}")
        message_id = None if shown is not None else f"msg_{here.text.text_id}"
        return self.unmasker.unmask_text(
            here.masked if shown is None else shown, viewer=_VIEWER, scope=scope, message_id=message_id
        )

    def count_without_right(self, kept: Sequence[MaskedHere]) -> int:
        """Return how many values a viewer sees who is entitled to none."""
        stranger = Viewer("sam", frozenset({Role.SUPPORT}), Purpose.CONVERSATION)
        shown = 0
        for here in kept:
            scope = RevealScope(_TENANT, f"cnv_{here.text.text_id}", f"cus_{here.text.text_id}")
            shown += sum(
                piece.kind == "value" for piece in self.unmasker.unmask_segments(here.masked, viewer=stranger, scope=scope)
            )
        return shown

    def time_again_ms(self, texts: Sequence[LabelledText]) -> float:
        """Return the median time of masking a message that was masked before."""
        took = []
        for text in texts:
            scope = MaskScope(_TENANT, f"cnv_{text.text_id}", f"cus_{text.text_id}")
            known = self.masker.open_conversation(scope, actor="bench")
            self.masker.mask_message(text.text, scope=scope, known_values=known)
            started = time.perf_counter_ns()
            self.masker.mask_message(text.text, scope=scope, known_values=known)
            took.append((time.perf_counter_ns() - started) // 1000)
        return round(percentile(took, 50) / 1000, 3)


def measure_vault(server: BenchServer, texts: Sequence[LabelledText], *, seed: int) -> tuple[list[Figure], list[str]]:
    """Return the figures of the way there and back, and what broke. Texts with a secret have no way back: they are left out."""
    set_up_database(
        maintenance_dsn=server.embedded.admin_dsn(), admin_dsn=server.embedded.admin_dsn(_DBNAME), dbname=_DBNAME,
        secrets_dir=server.folder / "secrets",
    )  # fmt: skip
    address = server.embedded.address.with_dbname(_DBNAME)
    dsn = address.dsn("vault", read_role_password(server.folder / "secrets", "vault"))
    with psycopg.connect(dsn, autocommit=True) as connection:
        vault = LiveVault(server, connection)
        kept, broken, left_out = _go_and_return(vault, texts)
        unrecorded = _count_unrecorded(server, kept)
        restored, tried = _try_forged(vault, kept, seed=seed)
        figures = [
            Figure("round_trips_broken", len(broken), f"of {len(texts) - left_out} texts", must=0),
            Figure("round_trips_left_out", left_out, "texts with a secret in them, which nothing restores"),
            Figure("reveals_without_right", vault.count_without_right(kept), f"values shown in {len(kept)} texts", must=0),
            Figure("reveals_without_audit", unrecorded, "tokens restored without a row that says so", must=0),
            Figure("forged_restored", restored, f"of {tried} forged, foreign and damaged tokens", must=0),
            Figure(
                "unchanged_again_ms",
                vault.time_again_ms([here.text for here in kept[:_AGAIN]]),
                "ms, median, by the clock",
                must=0.3,
            ),
            *_measure_stream(kept, seed=seed),
        ]
    return figures, broken


def _go_and_return(vault: LiveVault, texts: Sequence[LabelledText]) -> tuple[list[MaskedHere], list[str], int]:
    kept: list[MaskedHere] = []
    broken: list[str] = []
    left_out = 0
    for text in texts:
        try:
            here = vault.mask(text)
            if "<SECRET_" in here.masked.text:
                left_out += 1
                continue
            same = vault.restore(here) == text.text
        except TellergateError as error:
            broken.append(f"{text.text_id}: {error.code}")
            continue
        kept.append(here)
        if not same:
            broken.append(f"{text.text_id}: came back otherwise")
    return kept, broken, left_out


def _count_unrecorded(server: BenchServer, kept: Sequence[MaskedHere]) -> int:
    """Return how many tokens of the restored texts have no row of their reveal."""
    with psycopg.connect(server.embedded.admin_dsn(_DBNAME), autocommit=True) as admin:
        recorded = set(admin.execute(_QUERIES["list_reveals"], {"tenant_id": _TENANT, "actor": _VIEWER.actor}).fetchall())
    tokens = {(f"cnv_{here.text.text_id}", token) for here in kept for token in here.masked.tokens}
    return sum(one not in recorded for one in tokens if "<LITERAL_" not in one[1])


def _try_forged(vault: LiveVault, kept: Sequence[MaskedHere], *, seed: int) -> tuple[int, int]:
    """Return how many tokens came back as anything but an unknown reference: invented, damaged, another conversation's own."""
    rng = random.Random(seed)
    hosts = [here for here in kept if here.masked.tokens]
    restored = tried = 0
    while hosts and tried < _FORGED:
        here, other = rng.choice(hosts), rng.choice(hosts)
        token = rng.choice(other.masked.tokens)
        kind = tried % 3
        if kind == 0 and token in here.masked.tokens:
            continue
        forged = token if kind == 0 else _damage(token, rng) if kind == 1 else _invent(rng)
        if kind == 0 and _is_his(vault.restore(other, token), here):
            continue
        tried += 1
        shown = f"Please pay {forged} today"
        restored += vault.restore(here, shown) not in (shown, f"Please pay {UNKNOWN_REFERENCE} today")
    return restored, tried


def _is_his(value: str, here: MaskedHere) -> bool:
    """Say whether a value is in this conversation's record too, so that its token resolves here by right."""
    return value == UNKNOWN_REFERENCE or value.casefold() in {known.casefold() for _, known in here.text.known}


def _damage(token: str, rng: random.Random) -> str:
    place = rng.randrange(token.rindex("_") + 1, len(token) - 1)
    if token[place] == "-":
        return token.replace("-", "", 1)
    return token[:place] + rng.choice([one for one in _BASE32 if one != token[place]]) + token[place + 1 :]


def _invent(rng: random.Random) -> str:
    """Return a token with sound check characters that no vault made."""
    while True:
        body, check = ("".join(rng.choice(_BASE32) for _ in range(length)) for length in (8, 2))
        token = f"<PERSON_{body}-{check}>"
        if any(match.token for match in find_tokens(token)):
            return token


def _measure_stream(kept: Sequence[MaskedHere], *, seed: int) -> list[Figure]:
    """Restore masked texts in random chunks: what a chunk costs beyond the look-up, and how much had to wait."""
    rng = random.Random(seed)
    took_ns = chunks = held_back = wrong = 0
    for here in kept:
        values = {token: f"value of {token[1:9]}" for token in here.masked.tokens}
        restorer = StreamRestorer(lambda tokens, values=values: {token: values[token] for token in tokens})  # type: ignore[misc]
        text, shown, start = here.masked.text, [], 0
        while start < len(text):
            end = start + rng.randint(1, 12)
            chunk = text[start:end]
            began = time.perf_counter_ns()
            shown.append(restorer.feed(chunk))
            took_ns += time.perf_counter_ns() - began
            held_back = max(held_back, len(restorer.held_back))
            chunks, start = chunks + 1, end
        shown.append(restorer.finish())
        expected = text
        for token, value in values.items():
            expected = expected.replace(token, value)
        wrong += "".join(shown) != expected
    return [
        Figure("restore_us_per_chunk", round(took_ns / max(1, chunks) / 1000, 2), "us, mean, without the look-up", must=10.0),
        Figure("held_back_characters_max", held_back, f"characters in {chunks} chunks", must=31),
        Figure("streams_broken", wrong, f"of {len(kept)} texts", must=0),
    ]
