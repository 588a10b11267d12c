"""The context of a decide document: texts and records with their origins, read into what origins are computed from. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.conversation import HandleKind
from domain.errors import InvalidInput
from domain.mentions import Mention, find_mentions
from domain.money import EXPONENTS, Money, render_money
from domain.origin import Origin
from domain.proposal import MAX_PROPOSED_MINOR, DetailsToken, Handle, ProposedArguments
from gates.fees import FeeRule
from gates.origins import KnownRecord, OriginContext, find_handles, find_named

MAX_ENTRIES = 500
MAX_TEXT = 131_072
# Computed, never claimed.
_COMPUTED = frozenset({Origin.DERIVED, Origin.MODEL})
# Where a record is one of ours. A record out of anything else is that thing's words.
_OWN_RECORDS = frozenset({Origin.LEDGER, Origin.KYC_VERIFIED})
_TOKEN = re.compile(r"<[A-Z]{2,8}(?:_[A-Z]{2,4})?_[0-9A-Za-z]{8}-[0-9A-Za-z]{2}>")
_Id = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
_AmountMinor = Annotated[int, Field(strict=True, ge=0, le=MAX_PROPOSED_MINOR)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RecordEntry(_Frozen):
    """Hold a record of ours that a handle stands for. `amount_minor` is a charge, a hold or a disputed charge."""

    handle: Handle
    kind: Literal["transaction", "account", "beneficiary", "card", "dispute", "hold", "case"]
    id: _Id
    amount_minor: _AmountMinor | None = None
    remaining_minor: _AmountMinor | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    account_id: _Id | None = None
    customer_id: _Id | None = None
    merchant_id: _Id | None = None
    transaction_id: _Id | None = None
    token: DetailsToken | None = None


class ContextEntry(_Frozen):
    """Hold one entry: a text or a record, and where it came from."""

    origin: Origin
    text: Annotated[str, Field(max_length=MAX_TEXT)] | None = None
    record: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DocumentContext:
    """Hold the context of one document: what origins are computed from, and our records by handle."""

    origins: OriginContext
    records: Mapping[str, RecordEntry]

    def is_granted(self, arguments: ProposedArguments) -> bool:
        """Say whether every handle of the arguments stands for a record of ours, of the kind that the act needs."""
        return all(
            handle in self.records and self.records[handle].kind == kind.value for handle, kind in find_handles(arguments).items()
        )


def read_context(entries: Sequence[Any], arguments: ProposedArguments | None, fees: Sequence[FeeRule] = ()) -> DocumentContext:
    """Read the entries of a document. Staff's quotations are the customer's words; anyone else's text is his in whole.

    Raises: InvalidInput, naming the entry.
    """
    if len(entries) > MAX_ENTRIES:
        raise InvalidInput(f"context: more than {MAX_ENTRIES} entries")
    records: dict[str, RecordEntry] = {}
    origins: dict[str, Origin] = {}
    mentions: list[Mention] = []
    for number, raw in enumerate(entries):
        entry = _read_entry(raw, number)
        if entry.record is not None and entry.origin in _OWN_RECORDS:
            record = _read_record(entry.record, number)
            if records.setdefault(record.handle, record) != record:
                raise InvalidInput(f"context[{number}]: {record.handle} stands for two records")
            origins.setdefault(record.handle, entry.origin)
        else:
            text = entry.text if entry.text is not None else json.dumps(entry.record, ensure_ascii=False)
            mentions += find_mentions(text, _TOKEN.findall(text), words_of=entry.origin)
            mentions += _find_amounts(entry)
    kept = set(find_handles(arguments)) | find_named(mentions) if arguments is not None else set()
    known = tuple(_to_known(record, origins[handle]) for handle, record in sorted(records.items()) if handle in kept)
    return DocumentContext(OriginContext(records=known, mentions=tuple(mentions), fees=tuple(fees)), records)


def _read_entry(raw: Any, number: int) -> ContextEntry:
    try:
        entry = ContextEntry.model_validate(raw)
    except ValidationError as error:
        raise InvalidInput(f"context[{number}]: {_first_problem(error)}") from None
    if entry.origin in _COMPUTED:
        raise InvalidInput(f"context[{number}]: origin {entry.origin.value!r} is computed, nothing can claim it")
    if (entry.text is None) == (entry.record is None):
        raise InvalidInput(f"context[{number}]: give either text or record")
    return entry


def _read_record(raw: Mapping[str, Any], number: int) -> RecordEntry:
    try:
        return RecordEntry.model_validate(raw)
    except ValidationError as error:
        raise InvalidInput(f"context[{number}].record: {_first_problem(error)}") from None


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def _find_amounts(entry: ContextEntry) -> Iterator[Mention]:
    """A record that is not ours names its amount in minor units: the same amount as if it stood in a text."""
    record = entry.record or {}
    amount_minor, currency = record.get("amount_minor"), record.get("currency")
    if (
        type(amount_minor) is int
        and isinstance(currency, str)
        and currency in EXPONENTS
        and 0 < amount_minor <= MAX_PROPOSED_MINOR
    ):
        yield Mention("amount", render_money(Money(amount_minor, currency)), entry.origin)


def _to_known(record: RecordEntry, origin: Origin) -> KnownRecord:
    money: tuple[Money, ...] = ()
    if record.currency in EXPONENTS:
        amounts = (record.amount_minor, record.remaining_minor)
        money = tuple(Money(amount, record.currency) for amount in amounts if amount is not None)
    return KnownRecord(
        handle=record.handle,
        kind=HandleKind(record.kind),
        ref=record.id,
        origin=origin,
        money=money,
        currency=record.currency,
        token=record.token,
    )
