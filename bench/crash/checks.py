"""What is a broken promise: the books against what the callers' diaries say, and the books against themselves.

Pure: each check takes what was read and lists what is wrong. Nothing of the ledger's own reckoning is used.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from bench.crash.books import Account, Books, Row
from bench.crash.diary import Asked, History
from domain.transfer import Balancing, ResultCode, TransferKind, TransferRequest, TransferResult
from gates.receipts.tree import append_leaves

_KINDS = tuple(TransferKind)
_MOVING = (1, 3, 6)
_EXPIRE = 5
_ACCEPTED = (ResultCode.ACCEPTED, ResultCode.ALREADY_ACCEPTED)
_CODES = tuple(ResultCode)
_FIRST_STICKY = _CODES.index(ResultCode.DEBIT_ACCOUNT_NOT_FOUND)


@dataclass(frozen=True, slots=True)
class Violation:
    """Hold one broken promise: its kind, and where."""

    kind: str
    where: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Hold what was asked and heard by id, and what is stored."""

    books: Books
    asked: Mapping[UUID, tuple[TransferRequest, Asked]]
    """Fresh requests: who asked first, with the body that counts."""
    heard: Mapping[UUID, Sequence[TransferResult]]
    """All answers to requests of that very body."""
    impostors: Sequence[tuple[TransferRequest, TransferResult]]
    unanswered: int
    lies: Sequence[str]


def gather(history: History, books: Books) -> Evidence:
    """Sort the diaries by id."""
    asked: dict[UUID, tuple[TransferRequest, Asked]] = {}
    heard: defaultdict[UUID, list[TransferResult]] = defaultdict(list)
    impostors = []
    for unit in history.units.values():
        if unit.sort == "fresh":
            asked |= {request.transfer_id: (request, unit) for request in unit.requests}
        for request, answer in zip(unit.requests, unit.answers or (), strict=False):
            if unit.sort == "impostor":
                impostors.append((request, answer))
            else:
                heard[request.transfer_id].append(answer)
    unanswered = sum(unit.answers is None for unit in history.units.values())
    return Evidence(books, asked, heard, impostors, unanswered, history.lies)


def find_violations(evidence: Evidence) -> list[Violation]:
    """Return every broken promise."""
    return [Violation(kind, where) for kind, check in CHECKS.items() for where in check(evidence)]


def check_answers_kept(evidence: Evidence) -> Iterator[str]:
    """What was acknowledged is there, as it was answered."""
    transfers = evidence.books.transfers
    for transfer_id, answers in evidence.heard.items():
        for answer in answers:
            row = transfers.get(transfer_id)
            if answer.code in _ACCEPTED and row is None:
                yield f"{transfer_id}: answered {answer.code}, not there"
            elif answer.code in _ACCEPTED and row is not None and _answer_of(row) != _told(answer):
                yield f"{transfer_id}: answered {_told(answer)}, stored {_answer_of(row)}"


def check_no_ghosts(evidence: Evidence) -> Iterator[str]:
    """Every transfer was asked for, word for word, under the decision that it names; or releases a hold that was due."""
    for transfer_id, row in evidence.books.transfers.items():
        found = evidence.asked.get(transfer_id)
        if row.kind == _EXPIRE and row.target_id is not None:
            yield from _doubt_expiry(row, evidence.books)
        elif found is None:
            yield f"{transfer_id}: nobody asked for it"
        elif not _is_same(found[0], row, evidence.books.accounts):
            yield f"{transfer_id}: asked {found[0]}, stored {row}"
        elif row.decision_id != found[1].decision_id:
            yield f"{transfer_id}: under another decision than the one that allowed it"


def check_no_doubles(evidence: Evidence) -> Iterator[str]:
    """One wish, one transfer: event times are the wishes' own. And one answer at most says that it was accepted just now."""
    wishes = Counter(row.occurred_at for row in evidence.books.transfers.values() if row.kind != _EXPIRE)
    yield from (f"wish of {wish}: {count} transfers" for wish, count in wishes.items() if count > 1)
    for transfer_id, answers in evidence.heard.items():
        if sum(answer.code is ResultCode.ACCEPTED for answer in answers) > 1:
            yield f"{transfer_id}: accepted more than once"


def check_refused_stays(evidence: Evidence) -> Iterator[str]:
    """What was refused is not there, and is refused for the reason that was given first."""
    books = evidence.books
    for transfer_id, answers in evidence.heard.items():
        unit = evidence.asked[transfer_id][1]
        for answer in answers:
            if answer.code in _ACCEPTED:
                continue
            reason = answer.refused_code if answer.code is ResultCode.REFUSED_BEFORE else answer.code
            stored = books.refusals.get(transfer_id)
            if transfer_id in books.transfers:
                yield f"{transfer_id}: answered {answer.code}, and it is there"
            elif not unit.allowed:
                if answer.code is not ResultCode.NOT_AUTHORIZED:
                    yield f"{transfer_id}: nobody allowed it, answered {answer.code}"
            elif not _is_true_refusal(reason, stored, is_leg=len(unit.requests) > 1):
                yield f"{transfer_id}: allowed, answered {answer.code} ({reason}), remembered {stored}"
    for transfer_id in books.refusals.keys() - evidence.heard.keys():
        yield f"{transfer_id}: remembered as refused, nobody heard so"


def _is_true_refusal(reason: ResultCode | None, stored: str | None, *, is_leg: bool) -> bool:
    if reason is ResultCode.LINKED_FAILED:
        # Another leg is the one that says why; of a chain that is asked again, that is the first.
        return is_leg
    if reason is ResultCode.DECISION_EXPIRED:
        # It was in doubt for longer than its decision lives.
        return stored is None
    return reason is not None and _CODES.index(reason) >= _FIRST_STICKY and stored == reason


def check_impostors(evidence: Evidence) -> Iterator[str]:
    """The id of an answered request with another body is a conflict, if that answer was one for good."""
    known = evidence.books.transfers.keys() | evidence.books.refusals.keys()
    for request, answer in evidence.impostors:
        if answer.code is not ResultCode.ID_CONFLICT and (request.transfer_id in known or answer.code in _ACCEPTED):
            yield f"{request.transfer_id}: another body, answered {answer.code}"


def check_answered(evidence: Evidence) -> Iterator[str]:
    """Everyone hears in the end, and nobody heard that nothing had moved when something had."""
    if evidence.unanswered:
        yield f"{evidence.unanswered} units without an answer"
    yield from evidence.lies


def check_chains_whole(evidence: Evidence) -> Iterator[str]:
    """All legs of a chain, or none."""
    for _, unit in evidence.asked.values():
        there = {request.transfer_id in evidence.books.transfers for request in unit.requests}
        if len(there) > 1:
            yield f"chain of {unit.requests[0].transfer_id}: torn"


def check_authorizations(evidence: Evidence) -> Iterator[str]:
    """What was allowed was used once, by a transfer or a refusal, or still stands; what was not allowed was not used."""
    books = evidence.books
    for transfer_id, (_, unit) in evidence.asked.items():
        used = transfer_id in books.transfers or transfer_id in books.refusals
        left = transfer_id in books.authorizations
        if used == left and unit.allowed:
            yield f"{transfer_id}: authorization {'used and still there' if used else 'gone and not used'}"
        elif used and not unit.allowed:
            yield f"{transfer_id}: used without an authorization"


def check_balanced(evidence: Evidence) -> Iterator[str]:
    """Sums are zero in each currency, posted and held."""
    sums: defaultdict[str, int] = defaultdict(int)
    held: defaultdict[str, int] = defaultdict(int)
    for account in evidence.books.accounts.values():
        sums[account.currency] += account.credits - account.debits
        held[account.currency] += account.held_credits - account.held_debits
    yield from (f"{currency}: posted sums are out by {out}" for currency, out in sums.items() if out)
    yield from (f"{currency}: held sums are out by {out}" for currency, out in held.items() if out)


def check_accounts(evidence: Evidence) -> Iterator[str]:
    """Play each account's entries in the order of their versions: sums, versions, balances after, limits at every step."""
    books = evidence.books
    entries: defaultdict[int, list[tuple[int, int, Row]]] = defaultdict(list)
    for row in books.transfers.values():
        entries[row.debit].append((row.debit_version, -1, row))
        entries[row.credit].append((row.credit_version, 1, row))
    for account in books.accounts.values():
        ordered = sorted(entries[account.account], key=lambda entry: entry[0])
        yield from (f"{account.code}/{account.currency}: {what}" for what in _play(account, ordered, books))


def check_holds(evidence: Evidence) -> Iterator[str]:
    """A hold is what its transfer set aside, resolved by at most one; reversals are never more than what moved."""
    books = evidence.books
    resolved: defaultdict[UUID, list[Row]] = defaultdict(list)
    reversed_minor: Counter[UUID] = Counter()
    for row in books.transfers.values():
        if row.target_id is not None and row.kind == 6:
            reversed_minor[row.target_id] += row.amount_minor
        elif row.target_id is not None:
            resolved[row.target_id].append(row)
    placed = {transfer_id for transfer_id, row in books.transfers.items() if row.kind == 2}
    yield from (
        f"{transfer_id}: hold without its transfer, or the other way round" for transfer_id in placed ^ books.holds.keys()
    )
    for transfer_id, hold in books.holds.items():
        by = resolved.get(transfer_id, [])
        posted = sum(row.amount_minor for row in by if row.kind == 3)
        state = "pending" if not by else {3: "posted", 4: "voided", 5: "expired"}[by[0].kind]
        expected = (state, posted, by[0].transfer_id if by else None)
        if len(by) > 1 or (hold.state, hold.posted_minor, hold.resolved_by) != expected or posted > hold.amount_minor:
            yield f"{transfer_id}: hold is {hold}, its transfers say {expected}"
    for target_id in reversed_minor.keys() | books.reversals.keys():
        amount, stored = books.reversals.get(target_id, (0, 0))
        if stored != reversed_minor[target_id] or stored > amount or amount != books.transfers[target_id].amount_minor:
            yield f"{target_id}: reversed {reversed_minor[target_id]}, stored {stored} of {amount}"


def check_events(evidence: Evidence) -> Iterator[str]:
    """Every transfer waits for its place in the log or has it, once; the log has no gap, and its root is the signed one."""
    books = evidence.books
    seen = Counter(books.waiting_events)
    seen.update(event_id for _, event_id, _ in books.placed_events)
    for transfer_id in books.transfers:
        if seen[transfer_id] != 1:
            yield f"{transfer_id}: its event is there {seen[transfer_id]} times"
    if [position for position, _, _ in books.placed_events] != list(range(len(books.placed_events))):
        yield "the log has a gap"
    size, root = books.checkpoint or (0, b"")
    if size != len(books.placed_events):
        yield f"the log has {len(books.placed_events)} places, its checkpoint says {size}"
    elif size and append_leaves(0, {}, [leaf for _, _, leaf in books.placed_events]).root != root:
        yield "the leaves of the log do not give the signed root"


CHECKS: Mapping[str, Callable[[Evidence], Iterator[str]]] = {
    "lost": check_answers_kept,
    "ghost": check_no_ghosts,
    "doubled": check_no_doubles,
    "refusal_not_kept": check_refused_stays,
    "impostor_let_in": check_impostors,
    "answer_not_true": check_answered,
    "chain_torn": check_chains_whole,
    "authorization_not_once": check_authorizations,
    "not_balanced": check_balanced,
    "account_drifted": check_accounts,
    "holds_not_conserved": check_holds,
    "event_missing": check_events,
}


def _doubt_expiry(row: Row, books: Books) -> Iterator[str]:
    hold = books.transfers.get(row.target_id) if row.target_id is not None else None
    if hold is None or hold.hold_expires_at is None or hold.hold_expires_at > row.recorded_at or row.decision_id is not None:
        yield f"{row.transfer_id}: an expiry of {row.target_id}, which was not due"
    elif (hold.kind, hold.debit, hold.credit, hold.amount_minor) != (2, row.debit, row.credit, row.amount_minor):
        yield f"{row.transfer_id}: an expiry of {row.target_id}, with another body"


def _play(account: Account, entries: Sequence[tuple[int, int, Row]], books: Books) -> Iterator[str]:
    debits = credits_ = held_debits = held_credits = 0
    for place, (version, side, row) in enumerate(entries, start=1):
        if account.rolled_up:
            if place > 1 and version == entries[place - 2][0]:
                yield f"order number {version} twice"
        elif version != place:
            yield f"version {version} in place {place}"
        released = books.transfers[row.target_id].amount_minor if row.kind in (3, 4, 5) and row.target_id else 0
        held = row.amount_minor if row.kind == 2 else -released
        moved = row.amount_minor if row.kind in _MOVING else 0
        if side < 0:
            debits, held_debits = debits + moved, held_debits + held
        else:
            credits_, held_credits = credits_ + moved, held_credits + held
        after = row.debit_balance_after if side < 0 else row.credit_balance_after
        if after != (None if account.rolled_up else credits_ - debits):
            yield f"balance after version {version} is {after}, not {credits_ - debits}"
        if account.debits_within_credits and debits + held_debits > credits_:
            yield f"overdrawn at version {version}"
        if account.credits_within_debits and credits_ + held_credits > debits:
            yield f"over its limit at version {version}"
    stored = (account.debits, account.credits, account.held_debits, account.held_credits, account.entries)
    played = (debits, credits_, held_debits, held_credits, len(entries))
    if stored != played:
        yield f"stored {stored}, its entries say {played}"


def _answer_of(row: Row) -> tuple[object, ...]:
    return (
        row.amount_minor, row.debit_version, row.credit_version, row.debit_balance_after, row.credit_balance_after,
        row.recorded_at,
    )  # fmt: skip


def _told(answer: TransferResult) -> tuple[object, ...]:
    return (
        answer.amount_minor, answer.debit_version, answer.credit_version, answer.debit_balance_after_minor,
        answer.credit_balance_after_minor, answer.recorded_at,
    )  # fmt: skip


def _is_same(request: TransferRequest, row: Row, accounts: Mapping[int, Account]) -> bool:
    debit, credit = accounts[row.debit], accounts[row.credit]
    flags = (1 if request.linked else 0) | {None: 0, Balancing.DEBIT: 2, Balancing.CREDIT: 4}[request.balancing]
    fits = row.amount_minor == request.amount_minor or (request.balancing is not None and row.amount_minor < request.amount_minor)
    return fits and (
        request.kind, request.debit, request.credit, request.currency, request.currency, int(request.code), flags,
        request.target_id, request.hold_expires_at, request.occurred_at,
    ) == (
        _KINDS[row.kind - 1], debit.code, credit.code, debit.currency, credit.currency, row.code, row.flags, row.target_id,
        row.hold_expires_at, row.occurred_at,
    )  # fmt: skip
