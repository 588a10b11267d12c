"""Text of strangers in a transaction: who is named or numbered in it becomes a token of the account's customer.

What a row that names a merchant says is the merchant's: only patterns and numbers of the bank's customers are looked for. Any
other text is a person's own: what the record knows of the customer comes first, and the name model is asked as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from domain.origin import Origin
from masking.classes import PiiClass
from masking.known_values import KnownValueFinder
from masking.patterns import find_patterns
from masking.vault import KnownValues, Transact, Vault
from serving.ingest.reading import ReadRow
from serving.ingest.references import ReferenceBook
from serving.ingest.rows import IngestRow

if TYPE_CHECKING:
    from masking.masker import Masker
    from masking.number_index import NumberIndexes

_ACTOR = "ingest"
# Kinds whose text people write, or whose other side is a person.
_WRITTEN_KINDS = frozenset({"transfer_in", "transfer_out", "payout", "salary", "direct_debit"})
# Nobody writes where he logged in from into a transfer; a pattern finds it all the same.
_NEVER_WRITTEN = frozenset({PiiClass.IP, PiiClass.DEVICE})
_MAX_HELD = 20_000
# No pattern needs less than this: three digits, an "@", or a run too long for a word.
_MAY_HOLD_NUMBER = re.compile(r"(?:[^0-9]*[0-9]){3}|@|\S{20}")
_SHORT_CODE_LENGTH = 8
_NAME_WORD = re.compile(r"(?<![^\W_])[^\W\d_]{2,}(?![^\W_])")


@dataclass(frozen=True, slots=True)
class TextDeps:
    """Hold what masks a text: the vault, how to make a masker (it takes seconds), and every customer's numbers where kept."""

    vault: Vault
    transact_vault: Transact
    make_masker: Callable[[], Masker]
    indexes: NumberIndexes | None = None


_Place = tuple[dict[str, Any], str]
"""Where a text stands and is written to: the object that holds it, and its key."""


class _Wanted(NamedTuple):
    """One text to be masked, and as whose. `has_known`: something of the customer's record stands in it."""

    customer_id: str
    text: str
    is_merchants: bool
    has_known: bool


@dataclass(slots=True)
class FreeTextMasker:
    """Mask the texts of one file. Each different text is looked at once, each customer's record read once."""

    deps: TextDeps
    tenant_id: str
    _numbered: dict[str, bool] = field(default_factory=dict)
    _guessed: dict[str, bool] = field(default_factory=dict)
    _known: dict[str, tuple[KnownValues, KnownValueFinder]] = field(default_factory=dict)

    def mask(self, rows: Sequence[ReadRow], columns: Sequence[dict[str, Any]], book: ReferenceBook) -> None:
        """Replace what is found in the columns of these transactions, in place. Writes to the vault. Idempotent.

        Raises: UnapprovedArtifact, SubjectErased, and what `Masker.mask_many` raises.
        """
        self._load_known({book.customer_of(read.row) for read in rows if not _is_merchants(read.row)})
        held = [
            (place, wanted)
            for read, record in zip(rows, columns, strict=True)
            for place in _list_places(record)
            if (wanted := self._wanted(read.row, place, book.customer_of(read.row))) is not None
        ]
        masked = self._mask_texts(list(dict.fromkeys(wanted for _, wanted in held)))
        for (holder, key), wanted in held:
            holder[key] = masked[wanted]

    def _mask_texts(self, wanted: Sequence[_Wanted]) -> Mapping[_Wanted, str]:
        if not wanted:
            return {}
        from masking.masker import MaskScope, TextToMask

        items = [
            TextToMask(
                one.text,
                MaskScope(self.tenant_id, None, one.customer_id),
                self._known[one.customer_id][0] if one.has_known else None,
                is_merchants=one.is_merchants,
            )
            for one in wanted
        ]
        # Not the customer's record: what strangers wrote, or the model guessed, is not known of him.
        messages = self.deps.make_masker().mask_many(items, tenant_id=self.tenant_id, origin=Origin.CUSTOMER_TEXT, source="text")
        return {one: message.masked.text for one, message in zip(wanted, messages, strict=True)}

    def _wanted(self, row: IngestRow, place: _Place, customer_id: str) -> _Wanted | None:
        """Return what is to be masked at a place, None for a text that stays."""
        text: str = place[0][place[1]]
        is_numbered = self._is_numbered(text)
        if _is_merchants(row):
            return _Wanted(customer_id, text, is_merchants=True, has_known=False) if is_numbered else None
        has_known = next(self._known[customer_id][1].find(text), None) is not None
        if has_known or is_numbered or (getattr(row, "kind", "") in _WRITTEN_KINDS and self._is_guessed(text)):
            return _Wanted(customer_id, text, is_merchants=False, has_known=has_known)
        return None

    def _is_numbered(self, text: str) -> bool:
        held = self._numbered.get(text)
        if held is None:
            held = _remember(self._numbered, text, _MAY_HOLD_NUMBER.search(text) is not None and self._finds_number(text))
        return held

    def _finds_number(self, text: str) -> bool:
        if not _is_short_code(text) and any(True for _ in find_patterns(text)):
            return True
        index = self.deps.indexes.of(self.tenant_id) if self.deps.indexes is not None else None
        return index is not None and any(True for _ in index.find(text))

    def _is_guessed(self, text: str) -> bool:
        held = self._guessed.get(text)
        if held is None:
            asked = _may_name_someone(text) and self.deps.make_masker().holds_values(text, tenant_id=self.tenant_id)
            held = _remember(self._guessed, text, asked)
        return held

    def _load_known(self, customer_ids: set[str]) -> None:
        missing = sorted(customer_ids - self._known.keys())
        if not missing:
            return
        if len(self._known) > _MAX_HELD:
            self._known.clear()
            missing = sorted(customer_ids)
        loaded = self.deps.vault.known_values_many(
            self.deps.transact_vault, tenant_id=self.tenant_id, subject_ids=missing, actor=_ACTOR
        )
        for customer_id in missing:
            held = loaded[customer_id]
            values = tuple(value for value in held.values if value.pii_class not in _NEVER_WRITTEN)
            known = KnownValues(customer_id, f"{held.version}|written", values)
            self._known[customer_id] = known, KnownValueFinder(known)


def _is_merchants(row: IngestRow) -> bool:
    return getattr(row, "merchant_id", None) is not None


def _list_places(record: dict[str, Any]) -> Iterator[_Place]:
    for name in ("descriptor", "reference"):
        if record[name] is not None:
            yield record, name
    for step in record["decline_trace"] or ():
        for name, value in step["detail"].items():
            if isinstance(value, str):
                yield step["detail"], name


def _may_name_someone(text: str) -> bool:
    """Say whether the model is worth asking: for two words of letters, or one that is written as a name is."""
    words = _NAME_WORD.findall(text)
    return len(words) > 1 or any(word[0].isupper() and not word.isupper() for word in words) or not text.isascii()


def _is_short_code(text: str) -> bool:
    """Say whether a text is one short word, which has no room for check digits: only the tenant's own numbers can be in it."""
    return len(text) <= _SHORT_CODE_LENGTH and text.isalnum()


def _remember(held: dict[str, bool], text: str, answer: bool) -> bool:
    if len(held) > _MAX_HELD:
        held.clear()
    held[text] = answer
    return answer
