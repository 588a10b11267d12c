"""A walk over a ledger, step by step: what is asked next is drawn, the same steps give the same requests on every ledger."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from domain.transfer import ResultCode, TransferCode, TransferKind, TransferRequest, TransferResult
from ledger.port import AccountInUse, AlreadyUsed, Ledger
from tests.property.ledger.slow_books import Key
from tests.property.ledger.slow_model import Answer, SlowModel
from tests.property.ledger.wishes import ACCOUNTS, Wish, fund, make_wish

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIFETIME = timedelta(seconds=60)


@dataclass
class Walk:
    """Drive one ledger and the slow model side by side; `assert_same` compares what can be seen."""

    ledger: Ledger
    model: SlowModel = field(default_factory=SlowModel)
    now: datetime = START
    asked: list[TransferRequest] = field(default_factory=list)
    decisions: list[tuple[str, int]] = field(default_factory=list)
    met: set[ResultCode] = field(default_factory=set)
    trace: list[object] = field(default_factory=list)
    """All answers, for comparing two ledgers."""

    def __post_init__(self) -> None:
        for (code, currency), flags in ACCOUNTS.items():
            self.ledger.open_account(
                code,
                currency,
                debits_must_not_exceed_credits=flags.debits_within_credits,
                credits_must_not_exceed_debits=flags.credits_within_debits,
                rolled_up=flags.rolled_up,
            )
        self.model.accounts = dict(ACCOUNTS)

    # Steps ---------------------------------------------------------------------------------------------------------------------

    def ask_for(self, wishes: list[Wish], *, wait_s: int = 0) -> None:
        """Make requests, allow those that are to be, wait, and ask for them in one call."""
        batch = [self._make(wish) for wish in wishes]
        self._allow(batch, wishes)
        self.now += timedelta(seconds=wait_s)
        self.ask(batch)

    def ask(self, batch: list[TransferRequest]) -> None:
        answers = [self._normalize(request, result) for request, result in self._apply(batch)]
        expected = self.model.ask(batch, self.now)
        differences = [
            f"{place}: {request}\n  answered {answer}\n  expected {right}"
            for place, (request, answer, right) in enumerate(zip(batch, answers, expected, strict=True))
            if answer != right
        ]
        assert not differences, "\n".join([f"at {self.now}, of {len(batch)}:", *differences])
        self.met |= {answer.code for answer in answers}
        self.trace.append(answers)

    def ask_again(self, places: list[int]) -> None:
        """Resend earlier requests, in any order and any number of times."""
        if self.asked:
            self.ask([self.asked[place % len(self.asked)] for place in places])

    def supersede(self, place: int) -> None:
        if self.decisions:
            decision_id, number = self.decisions[place % len(self.decisions)]
            self.ledger.supersede(decision_id)
            self.model.supersede(number)

    def move_clock(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    def expire(self, limit: int) -> None:
        count = self.ledger.expire_holds(now=self.now, limit=limit)
        assert count == self.model.expire(self.now, limit)
        self.trace.append(count)

    def roll_up(self) -> None:
        self.ledger.roll_up()

    def close(self, place: int) -> None:
        key = list(ACCOUNTS)[place % len(ACCOUNTS)]
        may_close = self.model.close(key)
        try:
            self.ledger.close_account(*key)
        except AccountInUse:
            assert not may_close
        else:
            assert may_close

    def stop(self, place: int) -> None:
        key = list(ACCOUNTS)[place % len(ACCOUNTS)]
        self.ledger.stop_account(*key)
        self.model.stopped.add(key)

    # Looking -------------------------------------------------------------------------------------------------------------------

    def assert_same(self) -> None:
        for key in ACCOUNTS:
            found = self.ledger.find_balance(*key)
            assert found is not None
            expected = self.model.balance(key)
            assert found == expected
            self._assert_same_statement(key)
            self.trace.append(expected)
        lines = self.ledger.list_trial_balance()
        assert lines == self.model.trial_balance()
        assert all(line.debits_posted_minor == line.credits_posted_minor for line in lines)
        states = self.model.hold_states()
        found_states = {hold_id: self.ledger.find_hold(hold_id) for hold_id in states if isinstance(hold_id, UUID)}
        assert {hold_id: hold.state.value for hold_id, hold in found_states.items() if hold is not None} == states

    def _assert_same_statement(self, key: Key) -> None:
        lines = self.ledger.list_entries(*key, after=None, limit=10_000)
        versions = [line.version for line in lines]
        assert versions == sorted(set(versions))
        if not ACCOUNTS[key].rolled_up:
            assert versions == list(range(1, len(lines) + 1))
            posted = [line.amount_minor if line.kind in ("posted", "post", "reverse") else 0 for line in lines]
            signs = [1 if line.side == "credit" else -1 for line in lines]
            running = 0
            for line, amount_minor, sign in zip(lines, posted, signs, strict=True):
                running += sign * amount_minor
                assert line.balance_after_minor == running
        assert [
            (line.transfer_id, line.kind, int(line.side == "credit"), line.amount_minor, line.recorded_at)
            for line in lines
            if line.kind is not TransferKind.EXPIRE
        ] == self.model.statement(key)

    # From wishes to requests ---------------------------------------------------------------------------------------------------

    def _make(self, wish: Wish) -> TransferRequest:
        if wish.repeats and self.asked:
            earlier = self._find(wish)
            if wish.changed:
                earlier = replace(earlier, amount_minor=earlier.amount_minor + 1 - 2 * (wish.odd % 2))
            return replace(earlier, linked=wish.linked) if wish.odd % 9 == 0 else earlier
        request = self._make_fresh(wish)
        self.asked.append(request)
        return request

    def _make_fresh(self, wish: Wish) -> TransferRequest:
        needs_target = wish.kind in (TransferKind.POST, TransferKind.VOID, TransferKind.REVERSE)
        target = self._find_target(wish) if needs_target and self.asked else None
        request = TransferRequest(
            transfer_id=UUID(int=(0x0192 << 112) | (7 << 76) | (2 << 62) | len(self.asked) + 1),
            kind=wish.kind,
            debit=wish.debit,
            credit=wish.credit,
            amount_minor=wish.amount_minor,
            currency=wish.currency,
            code=TransferCode.IMPORT if wish.odd == 40 else TransferCode.REFUND,
            occurred_at=self.now,
            target_id=None if target is None else target.transfer_id,
            hold_expires_at=None,
            linked=wish.linked,
            balancing=None if needs_target else wish.balancing,
        )
        if wish.kind is TransferKind.PENDING and wish.lives_for_s is not None:
            request = replace(request, hold_expires_at=self.now + timedelta(seconds=wish.lives_for_s))
        if target is not None and wish.fits:
            sides = (target.debit, target.credit)
            debit, credit = sides[::-1] if wish.kind is TransferKind.REVERSE else sides
            amount_minor = (
                target.amount_minor if wish.kind is TransferKind.VOID or wish.odd % 2 else max(1, target.amount_minor // 2)
            )
            amount_minor += wish.odd in (7, 9)
            request = replace(request, debit=debit, credit=credit, currency=target.currency, amount_minor=amount_minor)
        return request

    def _find(self, wish: Wish) -> TransferRequest:
        return self.asked[-(wish.about % len(self.asked)) - 1]

    def _find_target(self, wish: Wish) -> TransferRequest:
        """Take one of the kind that the wish is for, unless none is there or it wants another."""
        kinds = (TransferKind.POSTED, TransferKind.POST) if wish.kind is TransferKind.REVERSE else (TransferKind.PENDING,)
        fitting = [request for request in self.asked if request.kind in kinds]
        return fitting[-(wish.about % len(fitting)) - 1] if fitting and wish.odd % 5 else self._find(wish)

    def _allow(self, batch: list[TransferRequest], wishes: list[Wish]) -> None:
        """One decision for those that may have one; and one for each that may not, which has to be refused."""
        wanted = [request for request, wish in zip(batch, wishes, strict=True) if wish.allowed]
        possible = {request.transfer_id: request for request in wanted if abs(request.amount_minor) < 2**60}
        valid_until = self.now + LIFETIME
        for request in list(possible.values()):
            if self.model.authorize([request], self.now, valid_until) is None:
                try:
                    self.ledger.authorize([request], valid_from=self.now, valid_until=valid_until)
                except AlreadyUsed:
                    del possible[request.transfer_id]
                else:
                    raise AssertionError(f"allowed again: {request}")
            else:
                self.model.supersede(self.model.decisions)
        if possible:
            number = self.model.authorize(list(possible.values()), self.now, valid_until)
            assert number is not None
            decision_id = self.ledger.authorize(list(possible.values()), valid_from=self.now, valid_until=valid_until)
            self.decisions.append((decision_id, number))

    def _apply(self, batch: list[TransferRequest]) -> list[tuple[TransferRequest, TransferResult]]:
        return list(zip(batch, self.ledger.apply(batch, now=self.now), strict=True))

    def _normalize(self, request: TransferRequest, result: TransferResult) -> Answer:
        """Leave out of an answer what implementations may choose: the order numbers of rolled-up sides."""
        assert result.transfer_id == request.transfer_id
        if result.amount_minor is None:
            assert result == TransferResult(request.transfer_id, result.code, result.refused_code)
            return Answer(result.code, result.refused_code)
        assert result.debit_version is not None
        assert result.credit_version is not None
        debit_rolled_up = ACCOUNTS[request.debit, request.currency].rolled_up
        credit_rolled_up = ACCOUNTS[request.credit, request.currency].rolled_up
        return Answer(
            result.code,
            result.refused_code,
            result.amount_minor,
            (None if debit_rolled_up else result.debit_version, None if credit_rolled_up else result.credit_version),
            (result.debit_balance_after_minor, result.credit_balance_after_minor),
            result.recorded_at,
        )


def take_steps(walk: Walk, source: Random, *, steps: int, look_every: int) -> None:
    """Walk on from a seed: for long walks, and for the same walk over two ledgers."""
    walk.ask_for([fund("customer:alice", 5000), fund("escrow:purse", 200), fund("escrow:purse", 100)])
    for step in range(1, steps + 1):
        choice = source.randrange(20)
        if choice < 10:
            walk.ask_for([make_wish(source) for _ in range(source.choice([1, 1, 2, 5, 9]))])
        elif choice < 12:
            walk.ask_for([make_wish(source)], wait_s=source.choice([-1, 1, 59, 60, 100]))
        elif choice < 15:
            walk.ask_again([source.randrange(400) for _ in range(source.randint(1, 4))])
        elif choice == 15:
            walk.supersede(source.randrange(50))
        elif choice == 16:
            walk.move_clock(source.choice([1, 30, 61, 3600, -40]))
        elif choice == 17:
            walk.expire(source.choice([1, 2, 1000]))
        elif choice == 18:
            walk.roll_up()
        elif step > steps // 2 and source.randrange(4) == 0:
            source.choice([walk.close, walk.stop])(source.randrange(len(ACCOUNTS)))
        if step % look_every == 0:
            walk.assert_same()
    walk.assert_same()
