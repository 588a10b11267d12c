"""A statement as camt.053 (ISO 20022), versions 001.02 to 001.08, read by local names.

The parser is expat with everything refused that makes XML dangerous: a document type, entities, outside references. What is held
in memory is one child of a statement at a time.
"""

from __future__ import annotations

import re
import xml.parsers.expat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, BinaryIO, NoReturn

from domain.money import EXPONENTS
from ledger.reconciliation.references import read_reference_keys, shown_reference
from ledger.reconciliation.statement import (
    MAX_ENTRIES,
    BadLine,
    QuarantinedLine,
    ReadStatement,
    StatementEntry,
    UnreadableStatement,
    day_after,
    parse_amount,
    parse_day,
    require_usable,
    span_days,
)

_NAMESPACE = re.compile(r"urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.0[2-8]")
_MAX_DEPTH = 32
_MAX_TEXT = 4_000
_MAX_NODES = 500_000
_BLOCK_BYTES = 65_536
_STATEMENT_DEPTH = 3
_SIGNS = {"CRDT": 1, "DBIT": -1}
_REFERENCE_NAMES = ("MsgId", "PmtInfId", "InstrId", "EndToEndId", "TxId", "AcctSvcrRef", "UETR")


@dataclass(slots=True)
class _Node:
    """One element with what stands in it."""

    name: str
    line_number: int
    attributes: dict[str, str]
    text: str = ""
    children: list[_Node] = field(default_factory=list)

    def find(self, *path: str) -> _Node | None:
        node: _Node | None = self
        for name in path:
            node = None if node is None else next((child for child in node.children if child.name == name), None)
        return node

    def read(self, *path: str) -> str:
        node = self.find(*path)
        return "" if node is None else node.text.strip()

    def walk(self) -> Iterator[_Node]:
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(slots=True)
class _Reading:
    """One statement at work."""

    account: str = ""
    currency: str = ""
    period: tuple[date, date] | None = None
    opening: tuple[date, int] | None = None
    closing: tuple[date, int] | None = None
    entries: list[StatementEntry] = field(default_factory=list)
    quarantined: list[QuarantinedLine] = field(default_factory=list)
    not_booked: int = 0


def read_camt053(stream: BinaryIO) -> tuple[ReadStatement, ...]:
    """Read every statement of the file. A bad entry is quarantined with its line; only booked entries count.

    Raises: UnreadableStatement for what is no camt.053, for dangerous XML and for balances that cannot be read.
    """
    stream.seek(0)
    reader = _Reader()
    try:
        while block := stream.read(_BLOCK_BYTES):
            reader.feed(block)
        reader.feed(b"", is_final=True)
    except xml.parsers.expat.ExpatError as error:
        words = xml.parsers.expat.ErrorString(error.code)
        raise UnreadableStatement(f"line {error.lineno}: the XML is not well-formed: {words}", code="bad_xml") from error
    except (ValueError, LookupError) as error:
        raise UnreadableStatement("the XML names an encoding that we do not read", code="bad_xml") from error
    if not reader.statements:
        raise UnreadableStatement("the file holds no statement", code="no_statement")
    statements = tuple(map(_finish, reader.statements))
    require_usable(statements)
    return statements


class _Reader:
    """Collect statements from the parser's calls."""

    def __init__(self) -> None:
        self.statements: list[_Reading] = []
        self._names: list[str] = []
        self._nodes: list[_Node] = []
        self._node_count = 0
        self._entry_count = 0
        self._parser = xml.parsers.expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.SetParamEntityParsing(xml.parsers.expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._read_text
        for handler in ("StartDoctypeDeclHandler", "EntityDeclHandler", "UnparsedEntityDeclHandler", "ExternalEntityRefHandler"):
            setattr(self._parser, handler, self._refuse)

    def feed(self, block: bytes, *, is_final: bool = False) -> None:
        self._parser.Parse(block, is_final)

    def _refuse(self, *_: Any) -> NoReturn:
        raise UnreadableStatement(
            f"line {self._parser.CurrentLineNumber}: the XML declares a document type or an entity, which no statement needs",
            code="dangerous_xml",
        )

    def _start(self, full_name: str, attributes: dict[str, str]) -> None:
        namespace, _, name = full_name.rpartition(" ")
        line_number = self._parser.CurrentLineNumber
        depth = len(self._names)
        if depth >= _MAX_DEPTH:
            raise UnreadableStatement(f"line {line_number}: elements are nested deeper than {_MAX_DEPTH}", code="bad_xml")
        if depth == 0:
            _require_camt053(namespace, name)
        if depth == 1 and name != "BkToCstmrStmt":
            raise UnreadableStatement(f"line {line_number}: the message is no account statement", code="not_camt053")
        if depth == 2 and name == "Stmt":
            self.statements.append(_Reading())
        self._names.append(name)
        if self._nodes or (depth == _STATEMENT_DEPTH and self._names[2] == "Stmt"):
            self._open_node(_Node(name, line_number, attributes))

    def _open_node(self, node: _Node) -> None:
        self._node_count += 1
        if self._node_count > _MAX_NODES:
            raise UnreadableStatement(
                f"line {node.line_number}: one entry holds more than {_MAX_NODES:,} elements", code="bad_xml"
            )
        if self._nodes:
            self._nodes[-1].children.append(node)
        self._nodes.append(node)

    def _read_text(self, text: str) -> None:
        if not self._nodes:
            return
        node = self._nodes[-1]
        node.text += text
        if len(node.text) > _MAX_TEXT:
            raise UnreadableStatement(
                f"line {node.line_number}: an element holds more than {_MAX_TEXT:,} characters", code="bad_xml"
            )

    def _end(self, _: str) -> None:
        self._names.pop()
        if not self._nodes:
            return
        node = self._nodes.pop()
        if not self._nodes:
            self._node_count = 0
            self._take(self.statements[-1], node)

    def _take(self, reading: _Reading, node: _Node) -> None:
        match node.name:
            case "Acct":
                reading.account = node.read("Id", "IBAN") or node.read("Id", "Othr", "Id")
                reading.currency = node.read("Ccy") or reading.currency
            case "FrToDt":
                reading.period = _read_period(node)
            case "Bal":
                _take_balance(reading, node)
            case "Ntry":
                self._entry_count += 1
                if self._entry_count > MAX_ENTRIES:
                    raise UnreadableStatement(f"the file holds more than {MAX_ENTRIES:,} entries: split it")
                _take_entry(reading, node)


def _require_camt053(namespace: str, name: str) -> None:
    if name != "Document" or (namespace and _NAMESPACE.fullmatch(namespace) is None):
        raise UnreadableStatement(
            "the file is no camt.053 of the versions 001.02 to 001.08 (its first element and namespace say so)",
            code="not_camt053",
        )


def _read_period(node: _Node) -> tuple[date, date]:
    start, end = node.read("FrDtTm"), node.read("ToDtTm")
    try:
        first_day, last_day = parse_day(start[:10]), parse_day(end[:10])
    except BadLine as error:
        raise UnreadableStatement(f"line {node.line_number}, the period: {error.message}") from error
    ends_at_midnight = end[10:19] == "T00:00:00" and last_day > first_day
    if last_day < first_day:
        raise UnreadableStatement(f"line {node.line_number}: the period ends before it begins")
    return first_day, last_day if ends_at_midnight else day_after(last_day)


def _take_balance(reading: _Reading, node: _Node) -> None:
    kind = node.read("Tp", "CdOrPrtry", "Cd")
    if kind not in {"OPBD", "PRCD", "CLBD"}:
        return
    try:
        amount_minor = _read_balance_amount(reading, node)
        day = _read_day(node, "Dt")
    except BadLine as error:
        raise UnreadableStatement(f"line {node.line_number}, the balance {kind}: {error.message}") from error
    if kind == "CLBD":
        reading.closing = (day, amount_minor)
    elif reading.opening is None or kind == "OPBD":
        # A previous closing balance is dated one day before the period that it opens.
        reading.opening = (day_after(day) if kind == "PRCD" else day, amount_minor)


def _read_balance_amount(reading: _Reading, node: _Node) -> int:
    if node.find("Amt") is not None and not node.read("Amt").strip("0."):
        _read_currency(reading, node)
        return 0
    return _read_amount(reading, node)


def _read_currency(reading: _Reading, node: _Node) -> str:
    amount = node.find("Amt")
    currency = "" if amount is None else amount.attributes.get("Ccy", "")
    if currency not in EXPONENTS:
        raise BadLine("the currency is missing or not in our ISO 4217 table", code="unlisted_currency")
    if reading.currency and currency != reading.currency:
        raise BadLine("the amount is in another currency than the account", code="other_currency")
    reading.currency = currency
    return currency


def _read_amount(reading: _Reading, node: _Node) -> int:
    currency = _read_currency(reading, node)
    sign = _SIGNS.get(node.read("CdtDbtInd"))
    if sign is None:
        raise BadLine("CdtDbtInd is CRDT or DBIT", code="bad_direction")
    return sign * parse_amount(node.read("Amt"), currency)


def _read_day(node: _Node, name: str) -> date:
    return parse_day((node.read(name, "Dt") or node.read(name, "DtTm"))[:10])


def _take_entry(reading: _Reading, node: _Node) -> None:
    status = node.read("Sts", "Cd") or node.read("Sts")
    if status != "BOOK":
        reading.not_booked += 1
        return
    try:
        reading.entries.append(_read_entry(reading, node))
    except BadLine as error:
        reading.quarantined.append(QuarantinedLine(node.line_number, error.code, error.message))


def _read_entry(reading: _Reading, node: _Node) -> StatementEntry:
    elements = [child for part in node.children if part.name == "NtryDtls" for child in part.walk()]
    references = [child.text for child in elements if child.name in _REFERENCE_NAMES]
    references += [child.text for child in elements if child.name == "Ref"]
    texts = [child.text for child in elements if child.name == "Ustrd"]
    return StatementEntry(
        line_number=node.line_number,
        amount_minor=_read_amount(reading, node),
        currency=reading.currency,
        booked_on=_read_day(node, "BookgDt"),
        entry_reference=shown_reference(node.read("AcctSvcrRef") or node.read("NtryRef")),
        reference_keys=read_reference_keys(
            references=references, texts=[*texts, node.read("AddtlNtryInf"), node.read("NtryRef")]
        ),
    )


def _finish(reading: _Reading) -> ReadStatement:
    balance_days = [held[0] for held in (reading.opening, reading.closing) if held is not None]
    days = [entry.booked_on for entry in reading.entries] + balance_days
    first_day, end_day = reading.period or span_days(days, reading.quarantined)
    return ReadStatement(
        account=reading.account or None,
        currency=reading.currency,
        first_day=first_day,
        end_day=end_day,
        opening_minor=None if reading.opening is None else reading.opening[1],
        closing_minor=None if reading.closing is None else reading.closing[1],
        entries=tuple(reading.entries),
        quarantined=tuple(reading.quarantined),
        not_booked=reading.not_booked,
    )
