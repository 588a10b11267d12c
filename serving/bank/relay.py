"""Takes what waits for the bank and sees it through: tell, or ask first where telling may have happened, then note the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from types import MappingProxyType

import structlog

from domain.clock import Clock
from domain.errors import InvalidInput, TellergateError
from serving.bank.acknowledging import Acknowledger, Effect
from serving.bank.backoff import Backoff
from serving.bank.port import Ack, AckFeed, AckLine, BankAdapter, BankInstruction, BankUnavailable, RejectedLine
from serving.bank.wire import render_instruction_id
from storage.outbox import Channel, Instruction, InstructionState, claim_due, postpone

_LOG = structlog.get_logger("bank.relay")
_RETRY = Backoff(base_s=2, cap_s=600)


@dataclass(frozen=True, slots=True)
class RelayRules:
    """Hold the relay's times. `lease` must outlast the longest exchange with the bank: one question and one sending."""

    lease: timedelta = timedelta(seconds=60)
    retry: Backoff = _RETRY
    overdue_after: Mapping[InstructionState, timedelta] = field(
        default_factory=lambda: MappingProxyType({"pending": timedelta(hours=1), "sent": timedelta(days=2)})
    )


@dataclass(frozen=True, slots=True)
class RoundReport:
    """Hold what one round did. `fault` is the code of what ended it early, None when nothing waited any more."""

    settled: int
    fault: str | None


class Relay:
    """Relay the instructions of one tenant to its bank. Several may run at once; each adapter belongs to one thread."""

    def __init__(
        self,
        *,
        tenant_id: str,
        bank: BankAdapter,
        acknowledgements: Acknowledger,
        clock: Clock,
        random: Random,
        rules: RelayRules | None = None,
    ) -> None:
        self._tenant_id = tenant_id
        self._bank = bank
        self._acknowledgements = acknowledgements
        self._clock = clock
        self._random = random
        self._rules = rules or RelayRules()

    def run_round(self, *, limit: int = 1000) -> RoundReport:
        """See through what is due, one after the other, until nothing is, or until the bank gives no clear answer.

        Raises: DatabaseUnavailable, CommitUnknown.
        """
        for settled in range(limit):
            instruction = self._claim()
            if instruction is None:
                return RoundReport(settled, None)
            fault = self._see_through(instruction)
            if fault is not None:
                return RoundReport(settled, fault)
        return RoundReport(limit, None)

    def _claim(self) -> Instruction | None:
        now = self._clock.now()
        with self._acknowledgements.transact(self._tenant_id) as connection:
            claimed = claim_due(connection, limit=1, now=now, leased_until=now + self._rules.lease)
        return claimed[0] if claimed else None

    def _see_through(self, instruction: Instruction) -> str | None:
        try:
            ack, channel = self._exchange(instruction)
        except BankUnavailable as error:
            self._wait(instruction, self._rules.retry, at_least_s=error.retry_after_s)
            _LOG.warning("bank_unavailable", code=error.code, attempts=instruction.attempts, instruction_id=_name(instruction))
            return error.code
        except TellergateError as error:
            # A fault of ours, such as a payload without a canonical form: others go on, and the overdue case tells of this one.
            self._wait(instruction, self._rules.retry)
            _LOG.error("instruction_unsendable", code=error.code, instruction_id=_name(instruction))
            return None
        effect = self._acknowledgements.take(self._tenant_id, ack, channel=channel, now=self._clock.now())
        if effect in (Effect.NONE, Effect.CONTRADICTION):
            self._wait(instruction, self._acknowledgements.follow_up.ask_again)
        return None

    def _exchange(self, instruction: Instruction) -> tuple[Ack, Channel]:
        """Ask first wherever an earlier attempt may have arrived; the claim has counted this one already."""
        if instruction.state == "sent" or instruction.attempts > 1:
            known = self._bank.find(instruction.instruction_id)
            if known is not None:
                return known, "question"
        return self._bank.send(_outward(instruction)), "answer"

    def _wait(self, instruction: Instruction, backoff: Backoff, *, at_least_s: int = 0) -> None:
        now = self._clock.now()
        pause = backoff.wait_after(instruction.attempts, self._random, at_least_s=at_least_s)
        with self._acknowledgements.transact(self._tenant_id) as connection:
            postpone(connection, instruction.instruction_id, next_attempt_at=now + pause, now=now)
            patience = self._rules.overdue_after.get(instruction.state)
            if patience is not None and now - instruction.created_at >= patience:
                self._acknowledgements.open_overdue_case(connection, instruction, now=now)


@dataclass(frozen=True, slots=True)
class Collector:
    """Take in what the bank delivered of its own accord."""

    tenant_id: str
    feed: AckFeed
    acknowledgements: Acknowledger
    clock: Clock

    def collect(self) -> int:
        """Apply every waiting delivery and return how many lines had an effect; a bad line is put beside it, the rest goes on.

        Raises: BankUnavailable, DatabaseUnavailable, CommitUnknown; the delivery then comes again, which does no harm.
        """
        applied = 0
        for name in self.feed.list_deliveries():
            rejected: list[RejectedLine] = []
            for line in self.feed.read_delivery(name):
                try:
                    applied += self._apply(line)
                except InvalidInput as error:
                    rejected.append(RejectedLine(line.number, error.code, error.message))
            self.feed.finish_delivery(name, rejected)
            if rejected:
                _LOG.warning("acknowledgements_rejected", delivery=name, lines=len(rejected))
        return applied

    def _apply(self, line: AckLine) -> bool:
        if isinstance(line.ack, TellergateError):
            raise line.ack
        effect = self.acknowledgements.take(self.tenant_id, line.ack, channel="file", now=self.clock.now())
        return effect is not Effect.NONE


def _outward(instruction: Instruction) -> BankInstruction:
    return BankInstruction(
        tenant_id=instruction.tenant_id,
        instruction_id=instruction.instruction_id,
        kind=instruction.kind,
        reference=instruction.reference,
        payload=instruction.payload,
        created_at=instruction.created_at,
    )


def _name(instruction: Instruction) -> str:
    return render_instruction_id(instruction.instruction_id)
