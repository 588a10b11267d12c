"""What must be true when the storm is over, whatever happened in it: told as sentences about what is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from domain.transfer import MAX_AMOUNT_MINOR, ResultCode, TransferKind, TransferRequest
from ledger.port import Ledger, StatementLine, Transfer
from tests.simulation.ledger.callers import ACCOUNTS, BANK, FEES, LOANS, PURSES, Book
from tests.simulation.ledger.world import Store

_MOVING = (TransferKind.POSTED, TransferKind.POST, TransferKind.REVERSE)


def find_breaches(store: Store, book: Book) -> list[str]:
    """Return what is wrong; nothing is, if the list is empty."""
    ledger = store.ledger
    lines = {account: ledger.list_entries(account, "EUR", after=None, limit=1_000_000) for account in ACCOUNTS}
    transfers = _read_transfers(ledger, lines)
    return [
        *_check_acknowledged(ledger, book),
        *_check_answers(book),
        *store.breaches,
        *_check_bodies(transfers, book),
        *_check_decisions(transfers, store),
        *_check_sums(ledger, lines),
        *_check_holds(ledger, transfers),
        *_check_reversals(transfers),
    ]


def check_reader(ledger: Ledger) -> Iterator[str]:
    """What a reader may see at any moment."""
    for line in ledger.list_trial_balance():
        if line.debits_posted_minor != line.credits_posted_minor:
            yield f"trial balance of {line.currency}: {line.debits_posted_minor} and {line.credits_posted_minor}"
    for account in (*PURSES, *LOANS):
        balance = ledger.find_balance(account, "EUR")
        assert balance is not None
        over = balance.debits_posted_minor + balance.debits_pending_minor - balance.credits_posted_minor
        if account in LOANS:
            over = balance.credits_posted_minor + balance.credits_pending_minor - balance.debits_posted_minor
        if over > 0:
            yield f"{account} is over its limit by {over}"


def _read_transfers(ledger: Ledger, lines: dict[str, list[StatementLine]]) -> list[Transfer]:
    found = []
    for transfer_id in dict.fromkeys(line.transfer_id for entries in lines.values() for line in entries):
        transfer = ledger.find_transfer(transfer_id)
        assert transfer is not None
        found.append(transfer)
    return found


def _check_acknowledged(ledger: Ledger, book: Book) -> Iterator[str]:
    for transfer_id, result in book.acknowledged.items():
        found = ledger.find_transfer(transfer_id)
        if found is None:
            yield f"{transfer_id} was acknowledged and is not there"
        elif (found.amount_minor, found.debit_version, found.credit_version, found.recorded_at) != (
            result.amount_minor, result.debit_version, result.credit_version, result.recorded_at,
        ):  # fmt: skip
            yield f"{transfer_id} is there as another than was acknowledged"
    for transfer_id in book.refused:
        if ledger.find_transfer(transfer_id) is not None:
            yield f"{transfer_id} was refused and is there"
    for request in book.asked:
        if request.transfer_id not in book.acknowledged and request.transfer_id not in book.refused:
            yield f"{request.transfer_id}: its caller never learned what became of it"


def _check_answers(book: Book) -> Iterator[str]:
    """All answers to one id agree, in whatever order they came."""
    for transfer_id, answers in book.answers.items():
        done = [replace(answer, code=ResultCode.ACCEPTED) for answer in answers if answer.amount_minor is not None]
        if len({str(answer) for answer in done}) > 1:
            yield f"{transfer_id}: two accepted answers differ"
        if done and any(answer.code is ResultCode.REFUSED_BEFORE for answer in answers):
            yield f"{transfer_id} was accepted, and refused before"


def _check_bodies(transfers: list[Transfer], book: Book) -> Iterator[str]:
    asked = {request.transfer_id: request for request in book.asked}
    for transfer in transfers:
        if transfer.kind is TransferKind.EXPIRE:
            continue
        request = asked.get(transfer.transfer_id)
        if request is None:
            yield f"{transfer.transfer_id} is there and nobody asked for it"
        elif not _has_body(transfer, request):
            yield f"{transfer.transfer_id} has another body than was asked for"


def _has_body(transfer: Transfer, request: TransferRequest) -> bool:
    same = (
        transfer.kind is request.kind
        and (transfer.debit, transfer.credit, transfer.currency) == (request.debit, request.credit, request.currency)
        and transfer.target_id == request.target_id
        and transfer.hold_expires_at == request.hold_expires_at
    )
    if request.balancing is None:
        return same and transfer.amount_minor == request.amount_minor
    return same and 0 < transfer.amount_minor <= request.amount_minor


def _check_decisions(transfers: list[Transfer], store: Store) -> Iterator[str]:
    used: dict[str, int] = {}
    for transfer in transfers:
        if transfer.kind is TransferKind.EXPIRE:
            continue
        if transfer.decision_id not in store.allowed:
            yield f"{transfer.transfer_id} has no decision"
            continue
        valid_from, valid_until, unit = store.allowed[transfer.decision_id]
        used[transfer.decision_id] = used.get(transfer.decision_id, 0) + 1
        if transfer.transfer_id not in [request.transfer_id for request in unit]:
            yield f"{transfer.transfer_id} stands on the decision of another"
        if not valid_from <= transfer.recorded_at < valid_until:
            yield f"{transfer.transfer_id} was recorded outside of its decision's time"
    for decision_id, count in used.items():
        if count != len(store.allowed[decision_id][2]):
            yield f"{decision_id} allowed a chain and a part of it is there"


def _check_sums(ledger: Ledger, lines: dict[str, list[StatementLine]]) -> Iterator[str]:
    yield from check_reader(ledger)
    for account, entries in lines.items():
        balance = ledger.find_balance(account, "EUR")
        assert balance is not None
        moved = {
            side: sum(line.amount_minor for line in entries if line.side == side and line.kind in _MOVING)
            for side in ("debit", "credit")
        }
        if (moved["debit"], moved["credit"]) != (balance.debits_posted_minor, balance.credits_posted_minor):
            yield f"{account}: its sums are not those of its entries"
        if balance.version != len(entries):
            yield f"{account}: its version is {balance.version}, its entries are {len(entries)}"
        if max(balance.debits_posted_minor, balance.credits_posted_minor) > MAX_AMOUNT_MINOR:
            yield f"{account}: out of range"
        if account in (BANK, FEES):
            continue
        running = 0
        for place, line in enumerate(entries, start=1):
            if line.kind in _MOVING:
                running += line.amount_minor if line.side == "credit" else -line.amount_minor
            if (line.version, line.balance_after_minor) != (place, running):
                yield f"{account}: entry {place} has version {line.version} and {line.balance_after_minor}, not {running}"


def _check_holds(ledger: Ledger, transfers: list[Transfer]) -> Iterator[str]:
    """What is held is what was placed and not ended, and no hold ends twice or for more than it held."""
    ends: dict[object, list[Transfer]] = {}
    for transfer in transfers:
        if transfer.kind in (TransferKind.POST, TransferKind.VOID, TransferKind.EXPIRE):
            ends.setdefault(transfer.target_id, []).append(transfer)
    held = {account: [0, 0] for account in ACCOUNTS}
    for hold in (transfer for transfer in transfers if transfer.kind is TransferKind.PENDING):
        ended = ends.pop(hold.transfer_id, [])
        if len(ended) > 1:
            yield f"hold {hold.transfer_id} ended {len(ended)} times"
        if any(end.amount_minor > hold.amount_minor for end in ended):
            yield f"hold {hold.transfer_id} ended for more than it held"
        if not ended:
            held[hold.debit][0] += hold.amount_minor
            held[hold.credit][1] += hold.amount_minor
    if ends:
        yield f"{len(ends)} ends of what is no hold"
    for account, (debits, credits_) in held.items():
        balance = ledger.find_balance(account, "EUR")
        assert balance is not None
        if (balance.debits_pending_minor, balance.credits_pending_minor) != (debits, credits_):
            yield f"{account}: what it holds is not what its open holds say"


def _check_reversals(transfers: list[Transfer]) -> Iterator[str]:
    moved = {transfer.transfer_id: transfer.amount_minor for transfer in transfers if transfer.kind in _MOVING[:2]}
    for transfer in transfers:
        if transfer.kind is TransferKind.REVERSE and transfer.target_id is not None:
            left = moved.get(transfer.target_id, 0) - transfer.amount_minor
            moved[transfer.target_id] = left
            if left < 0:
                yield f"{transfer.target_id}: more was reversed than it moved"
