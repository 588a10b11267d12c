"""The checks of the crash harness, each on books and diaries that are right but for one thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from bench.crash.books import Account, Books, HoldRow, Row
from bench.crash.checks import Evidence, find_violations, gather
from bench.crash.diary import Diary, History
from bench.crash.workload import Known, Unit, Workload, list_accounts
from domain.ids import make_uuid7
from domain.transfer import ResultCode, TransferCode, TransferKind, TransferRequest, TransferResult
from gates.receipts.tree import append_leaves, hash_leaf

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DECISION = UUID(int=7)
OTHER = UUID(int=9)
BANK, PURSE, ALICE = 1, 2, 3
CODES = {BANK: "house:bank:main", PURSE: "escrow:purse", ALICE: "customer:alice"}
PAID, HELD, CAPTURED, BACK, REFUSED = (make_uuid7(NOW, random_bits=number) for number in range(1, 6))
LEAVES = [hash_leaf(b"one"), hash_leaf(b"two")]

Damage = Callable[[Books], Books]


def ask(transfer_id: UUID, debit: int, credit: int, amount_minor: int, **more: object) -> TransferRequest:
    return TransferRequest(
        transfer_id, TransferKind.POSTED, CODES[debit], CODES[credit], amount_minor, "EUR", TransferCode.PAYMENT,
        NOW + timedelta(microseconds=transfer_id.int % 1000),
    ) if not more else replace(ask(transfer_id, debit, credit, amount_minor), **more)  # type: ignore[arg-type]  # fmt: skip


REQUESTS = {
    PAID: ask(PAID, BANK, PURSE, 100),
    HELD: ask(HELD, PURSE, ALICE, 60, kind=TransferKind.PENDING),
    CAPTURED: ask(CAPTURED, PURSE, ALICE, 40, kind=TransferKind.POST, target_id=HELD),
    BACK: ask(BACK, PURSE, BANK, 10, kind=TransferKind.REVERSE, target_id=PAID),
    REFUSED: ask(REFUSED, PURSE, ALICE, 9_999),
}
SIDES = {PAID: (1, 1, None, 100), HELD: (2, 1, 100, 0), CAPTURED: (3, 2, 60, 40), BACK: (4, 2, 50, None)}
KINDS = {PAID: 1, HELD: 2, CAPTURED: 3, BACK: 6}
PLACES = {code: account for account, code in CODES.items()}


def make_row(transfer_id: UUID) -> Row:
    request, (debit_version, credit_version, debit_after, credit_after) = REQUESTS[transfer_id], SIDES[transfer_id]
    return Row(
        transfer_id, KINDS[transfer_id], PLACES[request.debit], PLACES[request.credit], request.amount_minor, debit_version,
        credit_version, debit_after, credit_after, int(request.code), 0, request.target_id, None, DECISION,
        request.occurred_at, NOW,
    )  # fmt: skip


def make_books() -> Books:
    return Books(
        accounts={
            BANK: Account(BANK, CODES[BANK], "EUR", False, False, True, 100, 10, 0, 0, 2),
            PURSE: Account(PURSE, CODES[PURSE], "EUR", True, False, False, 50, 100, 0, 0, 4),
            ALICE: Account(ALICE, CODES[ALICE], "EUR", False, False, False, 0, 40, 0, 0, 2),
        },
        transfers={transfer_id: make_row(transfer_id) for transfer_id in SIDES},
        holds={HELD: HoldRow(HELD, 60, "posted", 40, CAPTURED)},
        reversals={PAID: (100, 10)},
        refusals={REFUSED: "limit_exceeded"},
        authorizations=frozenset(),
        waiting_events=[CAPTURED, BACK],
        placed_events=[(0, PAID, LEAVES[0]), (1, HELD, LEAVES[1])],
        checkpoint=(2, append_leaves(0, {}, LEAVES).root),
    )


def make_answer(transfer_id: UUID, code: ResultCode = ResultCode.ACCEPTED) -> TransferResult:
    if transfer_id not in SIDES:
        return TransferResult(transfer_id, ResultCode.LIMIT_EXCEEDED)
    return TransferResult(transfer_id, code, None, REQUESTS[transfer_id].amount_minor, *SIDES[transfer_id], NOW)


def judge(folder: Path, books: Books, tell: Callable[[Diary], None] = lambda _: None) -> set[str]:
    """Write the usual diary and what `tell` adds to it, read it, and name the kinds of violations."""
    diary = Diary(folder / "one.diary")
    for number, (transfer_id, request) in enumerate(REQUESTS.items()):
        diary.note_asked(number, Unit((request,)), DECISION)
        diary.note_answered(number, [make_answer(transfer_id)])
    tell(diary)
    diary.close()
    history = History(folder)
    history.read_on()
    history.read_on()
    return {violation.kind for violation in find_violations(gather(history, books))}


def change_row(books: Books, transfer_id: UUID, **changes: object) -> Books:
    row = replace(books.transfers[transfer_id], **changes)  # type: ignore[arg-type]
    return replace(books, transfers={**books.transfers, transfer_id: row})


def change_account(books: Books, account: int, **changes: object) -> Books:
    changed = replace(books.accounts[account], **changes)  # type: ignore[arg-type]
    return replace(books, accounts={**books.accounts, account: changed})


def without(rows: Mapping[UUID, Row], transfer_id: UUID) -> dict[UUID, Row]:
    return {key: row for key, row in rows.items() if key != transfer_id}


def test_right_books_have_no_violation(tmp_path: Path) -> None:
    assert judge(tmp_path, make_books()) == set()


DAMAGES: dict[str, tuple[Damage, str]] = {
    "acknowledged, not there": (lambda books: replace(books, transfers=without(books.transfers, BACK)), "lost"),
    "another amount than answered": (lambda books: change_row(books, PAID, amount_minor=99), "lost"),
    "another balance after": (lambda books: change_row(books, CAPTURED, credit_balance_after=41), "lost"),
    "nobody asked": (
        lambda books: replace(books, transfers={**books.transfers, OTHER: replace(make_row(PAID), transfer_id=OTHER)}),
        "ghost",
    ),
    "another debit account": (lambda books: change_row(books, PAID, debit=ALICE), "ghost"),
    "another decision": (lambda books: change_row(books, PAID, decision_id=UUID(int=8)), "ghost"),
    "one wish twice": (lambda books: change_row(books, BACK, occurred_at=REQUESTS[PAID].occurred_at), "doubled"),
    "refusal forgotten": (lambda books: replace(books, refusals={}), "refusal_not_kept"),
    "refused for another reason": (lambda books: replace(books, refusals={REFUSED: "account_closed"}), "refusal_not_kept"),
    "refused and there": (
        lambda books: replace(books, transfers={**books.transfers, REFUSED: replace(make_row(PAID), transfer_id=REFUSED)}),
        "refusal_not_kept",
    ),
    "used and still allowed": (lambda books: replace(books, authorizations=frozenset({PAID})), "authorization_not_once"),
    "sums out": (lambda books: change_account(books, ALICE, credits=41), "not_balanced"),
    "held sums out": (lambda books: change_account(books, ALICE, held_credits=1), "not_balanced"),
    "version not counted": (lambda books: change_account(books, ALICE, entries=3), "account_drifted"),
    "a gap in the versions": (lambda books: change_row(books, BACK, debit_version=5), "account_drifted"),
    "an order number twice": (lambda books: change_row(books, BACK, credit_version=1), "account_drifted"),
    "overdrawn": (lambda books: change_account(books, BANK, debits_within_credits=True), "account_drifted"),
    "over its other limit": (lambda books: change_account(books, ALICE, credits_within_debits=True), "account_drifted"),
    "hold still open": (lambda books: replace(books, holds={HELD: HoldRow(HELD, 60, "pending", 0, None)}), "holds_not_conserved"),
    "hold gone": (lambda books: replace(books, holds={}), "holds_not_conserved"),
    "reversal not counted": (lambda books: replace(books, reversals={}), "holds_not_conserved"),
    "event lost": (lambda books: replace(books, waiting_events=[BACK]), "event_missing"),
    "event placed and waiting": (lambda books: replace(books, waiting_events=[PAID, CAPTURED, BACK]), "event_missing"),
    "a gap in the log": (
        lambda books: replace(books, placed_events=[(0, PAID, LEAVES[0]), (2, HELD, LEAVES[1])]), "event_missing"
    ),
    "another root": (lambda books: replace(books, checkpoint=(2, bytes(32))), "event_missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_one_damage_is_found(tmp_path: Path, name: str) -> None:
    damage, kind = DAMAGES[name]
    assert kind in judge(tmp_path, damage(make_books()))


def note_unit(diary: Diary, unit: Unit, *answers: TransferResult) -> None:
    diary.note_asked(99, unit, DECISION if unit.sort == "fresh" and unit.allowed else None)
    if answers:
        diary.note_answered(99, answers)


FRESH = ask(UUID(int=99), BANK, ALICE, 5)
TOLD: dict[str, tuple[Callable[[Diary], None], set[str]]] = {
    "repeat, answered as done": (
        lambda diary: note_unit(
            diary, Unit((REQUESTS[PAID],), sort="repeat"), make_answer(PAID, ResultCode.ALREADY_ACCEPTED)
        ),
        set(),
    ),
    "repeat, accepted again": (
        lambda diary: note_unit(diary, Unit((REQUESTS[PAID],), sort="repeat"), make_answer(PAID)),
        {"doubled"},
    ),
    "repeat, refused": (
        lambda diary: note_unit(
            diary, Unit((REQUESTS[PAID],), sort="repeat"), TransferResult(PAID, ResultCode.NOT_AUTHORIZED)
        ),
        {"refusal_not_kept"},
    ),
    "impostor kept out": (
        lambda diary: note_unit(
            diary, Unit((REQUESTS[PAID],), sort="impostor"), TransferResult(PAID, ResultCode.ID_CONFLICT)
        ),
        set(),
    ),
    "impostor let in": (
        lambda diary: note_unit(diary, Unit((REQUESTS[PAID],), sort="impostor"), make_answer(PAID)),
        {"impostor_let_in"},
    ),
    "no answer": (lambda diary: note_unit(diary, Unit((FRESH,), allowed=False)), {"answer_not_true"}),
    "nobody allowed it, and it was not": (
        lambda diary: note_unit(
            diary, Unit((FRESH,), allowed=False), TransferResult(FRESH.transfer_id, ResultCode.NOT_AUTHORIZED)
        ),
        set(),
    ),
    "authorization gone, nothing used it": (
        lambda diary: note_unit(diary, Unit((FRESH,)), TransferResult(FRESH.transfer_id, ResultCode.NOT_AUTHORIZED)),
        {"refusal_not_kept", "authorization_not_once"},
    ),
    "half a chain": (
        lambda diary: note_unit(diary, Unit((replace(REQUESTS[PAID], linked=True), FRESH))),
        {"ghost", "answer_not_true", "authorization_not_once", "chain_torn"},
    ),
    "a lie": (lambda diary: diary.note_lie(1, "it had moved"), {"answer_not_true"}),
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_what_was_told_is_held_against_the_books(tmp_path: Path, name: str) -> None:
    tell, kinds = TOLD[name]
    assert judge(tmp_path, make_books(), tell) == kinds


def test_an_expiry_that_was_due_is_no_ghost_and_one_that_was_not_is(tmp_path: Path) -> None:
    books = replace(make_books(), transfers={HELD: make_row(HELD)}, holds={HELD: HoldRow(HELD, 60, "expired", 0, UUID(int=9))})
    expiry = replace(make_row(CAPTURED), transfer_id=UUID(int=9), kind=5, amount_minor=60, decision_id=None, code=92)
    books = replace(books, transfers={**books.transfers, expiry.transfer_id: expiry})
    empty = Evidence(books, {}, {}, [], 0, [])
    wheres = [one.where for one in find_violations(empty) if one.kind == "ghost"]
    assert [str(HELD) in wheres[0], "not due" in wheres[1], len(wheres)] == [True, True, 2]
    due = change_row(books, HELD, hold_expires_at=NOW)
    assert [one.where[:36] for one in find_violations(replace(empty, books=due)) if one.kind == "ghost"] == [str(HELD)]


def test_the_same_seed_asks_the_same() -> None:
    def draw(seed: int) -> list[Unit]:
        workload = Workload(0, Random(seed), Known())
        return [workload.draw(NOW) for _ in range(200)]

    assert draw(5) == draw(5)
    assert draw(5) != draw(6)
    requests = [request for unit in draw(5) for request in unit.requests]
    assert len({request.occurred_at for request in requests}) == len(requests)
    assert {request.kind for request in requests} == {TransferKind.POSTED, TransferKind.PENDING}
    for request in requests:
        codes = [code for code, _ in list_accounts(request.currency)]
        assert request.debit in codes
        assert request.credit in codes
        assert request.debit != request.credit
