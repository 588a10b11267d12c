"""Generated histories of one customer's acts, played against the gate and beside it on a small model that shares no code with it.

Each history has its own customer, operator, approver and charge, and ends with what the sweeper would do. `stale` counts postings
that nothing live allowed any more, `double` money that moved twice, `lost` what was allowed and never came, or left no trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any
from uuid import uuid4

from domain.decision import Decision, Outcome
from domain.errors import Conflict, TellergateError
from domain.ids import make_id
from gates.holding import recheck_holds
from gates.review import Answer, answer_review, expire_reviews
from gates.review_store import find_review_of_decision
from gates.submission import decide_proposal, expire_allow, list_undecided, list_unexecuted_allows
from ledger.posting import post_decision
from ledger.results import ExecutionCode
from ledger.transfer_digest import derive_transfer_id
from storage.unit_of_work import unit_of_work
from tests.integration.gates.desk import NOW, Desk, Turn, token_of

_LIFETIME_S = 3_600
_LONG_AGO, _FAR = NOW - timedelta(days=9), NOW + timedelta(days=9_999)


def run_interleavings(desk: Desk, *, seed: int, count: int, say: Callable[[str], None] = lambda _: None) -> dict[str, int]:
    """Play `count` histories and return how many acts were stale, double or lost; `say` gets what led there."""
    desk.use_policy(review_lifetime_s=_LIFETIME_S, hold_lifetime_s=_LIFETIME_S, review_budget_1h=1_000_000)
    found = {"stale": 0, "double": 0, "lost": 0}
    for ordinal in range(count):
        history = History(desk, Random(f"{seed}.{ordinal}"))
        history.play()
        for fault in history.faults:
            found[fault] += 1
        if history.faults:
            say(f"{seed}.{ordinal}: {' '.join(history.trail)}")
    return found


@dataclass(slots=True)
class _Chain:
    """One proposal and what was decided on it. `read_in`: what stood when the open review was opened."""

    proposal_id: str
    decisions: list[Decision] = field(default_factory=list)
    posted: bool = False
    read_in: tuple[object, ...] = ()

    @property
    def latest(self) -> Decision | None:
        return self.decisions[-1] if self.decisions else None


class History:
    """One customer's history: records, a clock of its own, the model, and the commands."""

    def __init__(self, desk: Desk, random: Random) -> None:
        self.faults: list[str] = []
        self.trail: list[str] = []
        self._desk, self._random, self._now = desk, random, NOW
        self._mark = uuid4().hex[:12]
        self._customer, self._account = f"cus_{self._mark}", f"acc_{self._mark}"
        self._operator, self._approver = f"opr_{self._mark}", f"opr_a{self._mark}"
        self._amount = random.choice((900, 900, 25_000))
        self._chains: list[_Chain] = []
        self._state: dict[str, object] = {"messages": 1, "account": "active", "disputes": 0, "policy": _LIFETIME_S}
        self._freeze_id: str | None = None
        # What a freeze stopped stays stopped after the thaw: its authorization is gone.
        self._stopped: set[str] = set()
        self._paid = 0
        self._set_up()

    def play(self) -> None:
        """Play some commands, then what the sweeper does; compare the books with the model."""
        commands: dict[Callable[[], None], int] = {
            self._propose: 4, self._decide: 6, self._execute: 6, self._approve: 5, self._wait: 2, self._edit: 2, self._crash: 2,
            self._freeze: 1, self._thaw: 2, self._block: 2, self._recheck: 3, self._sweep: 1, self._change_policy: 1,
        }  # fmt: skip
        self._propose()
        for command in self._random.choices(list(commands), weights=list(commands.values()), k=self._random.randint(5, 14)):
            self.trail.append(command.__name__)
            command()
        self._thaw()
        self._sweep()
        # Whatever could not be carried out, and whatever waits for people or for the bank, is closed when its time has passed.
        self._now += timedelta(seconds=2 * _LIFETIME_S)
        self._sweep()
        self._compare()
        if self._state["policy"] != _LIFETIME_S:
            # The next history begins with the policy that its model knows.
            self._change_policy()

    # Commands

    def _propose(self) -> None:
        if len(self._chains) < 3:
            proposal_id = self._desk.propose(
                self._random.choice(self._turns), transaction="T2", amount_minor=self._amount, reason_code="duplicate_charge"
            )
            self._chains.append(_Chain(proposal_id))

    def _decide(self) -> None:
        chain = self._pick()
        first = chain.latest is None
        self._take(chain, decide_proposal(self._desk.scope, self._desk.rules, chain.proposal_id, now=self._now))
        if first and self._freeze_id is not None and chain.decisions[-1].outcome is not Outcome.DENY:
            self._fault("stale")
        if self._random.random() < 0.6:
            self._carry_out(chain, chain.decisions[-1])

    def _execute(self) -> None:
        chain = self._pick()
        if chain.decisions:
            self._carry_out(chain, self._random.choice([chain.decisions[-1], self._random.choice(chain.decisions)]))

    def _approve(self) -> None:
        chain = self._pick()
        if chain.latest is None or chain.latest.outcome is not Outcome.REVIEW:
            return
        verdict: Any = "refuse" if self._random.random() < 0.1 else "approve"
        fresh = chain.read_in == self._reading() and self._freeze_id is None
        try:
            decision = self._answer(chain.latest, verdict)
        except Conflict:
            # What came of it is read below: a fresh decision may stand instead.
            decision = decide_proposal(self._desk.scope, self._desk.rules, chain.proposal_id, now=self._now)
            fresh = True
        if decision.outcome is Outcome.ALLOW and not fresh:
            self._fault("stale")
        self._take(chain, decision)

    def _wait(self) -> None:
        self._now += timedelta(seconds=self._random.choice((1, 61, 901, _LIFETIME_S)))

    def _edit(self) -> None:
        # Two messages of one moment have no order.
        self._now += timedelta(seconds=1)
        if self._random.random() < 0.5:
            for turn in self._turns:
                self._desk.add_message(turn.conversation_id, operator_id=self._operator, at=self._now)
            self._state["messages"] = int(str(self._state["messages"])) + 1
        else:
            self._desk.add_dispute(self._charges[1])
            self._state["disputes"] = int(str(self._state["disputes"])) + 1

    def _block(self) -> None:
        status = "active" if self._state["account"] == "blocked" else "blocked"
        self._desk.role("jobs").execute("UPDATE core.accounts SET status = %s WHERE account_id = %s", [status, self._account])
        self._state["account"] = status

    def _change_policy(self) -> None:
        lifetime_s = _LIFETIME_S + 1 - int(str(self._state["policy"])) + _LIFETIME_S
        self._desk.use_policy(review_lifetime_s=_LIFETIME_S, hold_lifetime_s=lifetime_s, review_budget_1h=1_000_000)
        self._state["policy"] = lifetime_s

    def _freeze(self) -> None:
        if self._freeze_id is None:
            self._freeze_id = make_id("frz", self._now)
            self._stopped |= {chain.latest.decision_id for chain in self._chains if chain.latest is not None}
            scope, subject = self._random.choice((("operator", self._operator), ("tenant", ""), ("kind", "refund")))
            self._desk.role("gate").execute(
                "SELECT gate.freeze(%s, %s, %s, 'opr_kim', 'a flood', %s)", [self._freeze_id, scope, subject, self._now]
            )

    def _thaw(self) -> None:
        if self._freeze_id is not None:
            self._desk.role("gate").execute("SELECT gate.thaw(%s, 'opr_lee', %s)", [self._freeze_id, self._now])
            self._freeze_id = None

    def _crash(self) -> None:
        """The executor dies before its commit: nothing of it stands."""
        chain = self._pick()
        if chain.latest is not None:
            executor, decision_id = self._desk.role("executor"), chain.latest.decision_id
            with executor.transaction(force_rollback=True):
                post_decision(executor, decision_id, transfer_id=derive_transfer_id(decision_id), now=self._now)

    def _recheck(self) -> None:
        for decision in recheck_holds(self._desk.scope, self._desk.rules, now=self._now, limit=50):
            chain = next((one for one in self._chains if one.proposal_id == decision.proposal_id), None)
            if chain is not None:
                self._take(chain, decision)
                self._carry_out(chain, decision)

    def _sweep(self) -> None:
        scope, rules = self._desk.scope, self._desk.rules
        for proposal_id in list_undecided(scope, since=_LONG_AGO, before=_FAR, limit=100):
            chain = next(one for one in self._chains if one.proposal_id == proposal_id)
            self._take(chain, decide_proposal(scope, rules, proposal_id, now=self._now))
        self._recheck()
        for decision_id, _ in list_unexecuted_allows(scope, since=_LONG_AGO, limit=100):
            chain, decision = next(
                (chain, one) for chain in self._chains for one in chain.decisions if one.decision_id == decision_id
            )
            self._carry_out(chain, decision)
            closed = expire_allow(scope, rules, decision_id, now=self._now)
            if closed is not None:
                self._take(chain, closed)
        expire_reviews(scope, rules, now=self._now)
        for chain in self._chains:
            self._take(chain, decide_proposal(scope, rules, chain.proposal_id, now=self._now))

    # The model

    def _carry_out(self, chain: _Chain, decision: Decision) -> None:
        """Execute, and say beforehand what has to come of it."""
        live = decision is chain.latest and self._now < decision.expires_at and not chain.posted and self._freeze_id is None
        may = live and decision.outcome is Outcome.ALLOW and self._paid == 0 and decision.decision_id not in self._stopped
        code = self._desk.execute(decision, now=self._now).code
        self.trail.append(code.value)
        if code is ExecutionCode.POSTED:
            if not may:
                self._fault("double" if chain.posted or self._paid else "stale")
            chain.posted = True
            self._paid += self._amount
        elif may and code is not ExecutionCode.HOLD_NOT_OPEN:
            self._fault("lost")
        elif code is ExecutionCode.ALREADY_POSTED and not chain.posted:
            self._fault("stale")

    def _take(self, chain: _Chain, decision: Decision) -> None:
        if chain.latest is None or chain.latest.decision_id != decision.decision_id:
            chain.decisions.append(decision)
            chain.read_in = self._reading()

    def _reading(self) -> tuple[object, ...]:
        return (*self._state.values(), self._paid)

    def _compare(self) -> None:
        """The books of this customer against the model, and every chain at its end: posted or denied."""
        auditor = self._desk.role("auditor")
        asked = [chain.proposal_id for chain in self._chains]
        moved = auditor.execute(
            "SELECT COUNT(*), COALESCE(SUM(amount_minor), 0) FROM ledger.transfer_lines"
            " WHERE credit = %s AND kind IN ('posted', 'post')",
            [f"customer:{self._account}"],
        ).fetchone()
        traces = [
            auditor.execute(query, [asked]).fetchone()
            for query in (
                "SELECT COUNT(*) FROM gate.consumptions WHERE proposal_id = ANY(%s)",
                "SELECT COUNT(*) FROM gate.executed_acts WHERE proposal_id = ANY(%s)",
                "SELECT COUNT(*) FROM core.outbox WHERE payload ->> 'proposal_id' = ANY(%s)",
            )
        ]
        posted = sum(chain.posted for chain in self._chains)
        if moved is None or moved[0] > 1 or moved[1] > self._amount:
            self._fault("double")
        elif moved[0] > posted:
            self._fault("stale")
        elif moved[0] < posted or traces != [(posted,)] * 3:
            self._fault("lost")
        for chain in self._chains:
            if chain.latest is None or (chain.latest.outcome is not Outcome.DENY and not chain.posted):
                self._fault("lost")

    def _fault(self, name: str) -> None:
        self.trail.append(f"!{name}")
        self.faults.append(name)

    # The desk

    def _pick(self) -> _Chain:
        return self._random.choice(self._chains)

    def _answer(self, decision: Decision, verdict: Any) -> Decision:
        with unit_of_work(self._desk.gate_pool, self._desk.tenant.context("gate")) as connection:
            review = find_review_of_decision(connection, decision.decision_id)
        if review is None:
            raise TellergateError(f"{decision.decision_id} opened no review")
        answer = Answer(
            review_id=review.review_id,
            verdict=verdict,
            session_token=token_of(self._approver, self._desk.tenant.tenant_id),
            action_digest=decision.action_digest,
            reason="read it",
            idempotency_key=uuid4().hex,
        )
        return answer_review(self._desk.scope, self._desk.rules, answer, now=self._now)

    def _set_up(self) -> None:
        desk, tenant_id = self._desk, self._desk.tenant.tenant_id
        jobs = desk.role("jobs")
        opened_at = NOW - timedelta(days=900)
        jobs.execute(
            "INSERT INTO core.customers (tenant_id, customer_id, name_token, country, language, segment, kyc_status, opened_at)"
            " VALUES (%s, %s, 'tok_x', 'DE', 'en', 'retail', 'verified', %s)",
            [tenant_id, self._customer, opened_at],
        )
        jobs.execute(
            "INSERT INTO core.accounts (tenant_id, account_id, customer_id, number_token, product, currency, status, opened_at)"
            " VALUES (%s, %s, %s, 'tok_y', 'current', 'EUR', 'active', %s)",
            [tenant_id, self._account, self._customer, opened_at],
        )
        desk.add_operator(self._operator, ["support"])
        desk.add_operator(self._approver, ["approver"])
        self._charges = [desk.add_charge(self._amount, account_id=self._account, minutes=minute) for minute in (0, 1)]
        # Two conversations about the same charge: what one asks for, the other may have been given.
        self._turns = [self._open_turn(), self._open_turn()]

    def _open_turn(self) -> Turn:
        desk, conversation_id = self._desk, make_id("cnv", NOW)
        desk.role("edge").execute(
            "INSERT INTO core.conversations (tenant_id, conversation_id, customer_id, operator_id, created_at)"
            " VALUES (%s, %s, %s, %s, %s)",
            [desk.tenant.tenant_id, conversation_id, self._customer, self._operator, NOW],
        )
        turn = Turn(conversation_id, desk.add_message(conversation_id, operator_id=self._operator))
        for handle, charge in zip(("T1", "T2"), self._charges, strict=True):
            desk.add_grant(turn, handle, charge)
        return turn
