"""The deterministic writer: from facts, reading, proposal and passages to the claims of an answer. Good enough to ship alone."""

from __future__ import annotations

from collections.abc import Sequence

from agents.support.claims import Claim, show_name
from agents.support.facts import FactSheet, TransactionFact
from agents.support.reading import Intent, Reading
from agents.support.wording import (
    cite,
    describe,
    describe_decline,
    describe_earlier,
    describe_fee,
    describe_pair,
    describe_payout,
    say_day,
)
from domain.conversation import Citation
from domain.money import Money, render_money
from domain.proposal import Proposal, RefundArguments
from retrieval.passages import Passage

_NAMES = {
    Intent.DUPLICATE_CHARGE: "a double charge", Intent.REFUND: "a refund", Intent.DECLINE: "a declined payment",
    Intent.FEE: "a fee", Intent.PAYOUT: "a payout", Intent.DISPUTE: "a dispute", Intent.QUESTION: "a rule",
    Intent.OTHER: "something else",
}  # fmt: skip
_MAX_CANDIDATES = 4


def write_lead(reading: Reading, facts: FactSheet) -> Claim | None:
    """Write the first line, from facts alone: it stands on the screen before any model is asked.

    None for a question about rules: its first line is an article's, and no record of this customer says anything to it.
    """
    if reading.intent is Intent.QUESTION:
        return None
    fact = facts.find(reading.handle) if reading.handle else None
    pair = next((pair for pair in facts.duplicates if reading.handle in (pair.first, pair.repeat)), None)
    if reading.handle in facts.outside:
        text = f"{reading.handle} is not one of this customer's records, so nothing about it can be shown here."
        return Claim(text=text, citations=(_cite_outside(str(reading.handle)),))
    if reading.intent is Intent.DUPLICATE_CHARGE and pair:
        first, repeat = facts.find(pair.first), facts.find(pair.repeat)
        if first and repeat:
            return describe_pair(first, repeat)
    if fact is not None:
        return _describe_for(reading.intent, fact, facts)
    if reading.intent is Intent.DUPLICATE_CHARGE and not facts.duplicates:
        return _no_duplicates(facts)
    return _overview(facts)


def write_answer(
    reading: Reading, facts: FactSheet, *, proposal: Proposal | None, passages: Sequence[Passage], quotes: Sequence[Claim]
) -> tuple[Claim, ...]:
    """Write everything after the first line: what was decided before, what is put forward, what the articles say."""
    claims: list[Claim] = []
    if reading.handle:
        claims += [describe_earlier(decision) for decision in facts.earlier_of(reading.handle)[:1]]
        claims += [_describe_dispute(facts, reading.handle)] if any(d.handle == reading.handle for d in facts.disputes) else []
    if proposal is not None:
        claims.append(_describe_proposal(proposal, facts))
    claims += quotes
    if not claims and is_general(reading):
        claims.append(_no_answer(passages))
    return tuple(claims)


def is_general(reading: Reading) -> bool:
    """Say whether a message asks for a rule and not about one of the customer's records."""
    return reading.intent in (Intent.QUESTION, Intent.OTHER) and reading.handle is None


def write_question(reading: Reading, facts: FactSheet) -> Claim:
    """Write what to ask back when two readings are close."""
    if reading.sureness == "unsure":
        topics = "a double charge, a refund, a decline, a fee or a payout"
        return Claim(text=f"I could not tell what is asked: which transaction is meant, and is it about {topics}?", citations=())
    if reading.alternatives:
        names = " or ".join(_NAMES[intent] for intent in reading.alternatives)
        return Claim(text=f"Is this about {names}?", citations=())
    known = [fact for handle in reading.candidates[:_MAX_CANDIDATES] if (fact := facts.find(handle))]
    if known:
        options = " or ".join(
            f"{fact.handle} ({render_money(fact.money)} {show_name(fact.counterparty)}, {say_day(fact.occurred_at)})"
            for fact in known
        )
        return Claim(text=f"Which one is meant: {options}?", citations=tuple(map(cite, known)))
    if reading.handle:
        return Claim(text=f"Which amount of {reading.handle} is meant? The message names more than one.", citations=())
    return Claim(text="Which transaction is meant? Name its handle, such as T1, or its amount and merchant.", citations=())


def _describe_for(intent: Intent, fact: TransactionFact, facts: FactSheet) -> Claim:
    if fact.status == "declined":
        return describe_decline(fact)
    if fact.kind == "payout":
        return describe_payout(fact)
    if fact.kind == "fee":
        return describe_fee(fact, facts)
    if intent is Intent.DUPLICATE_CHARGE:
        claim = describe(fact)
        return Claim(text=f"{claim.text[:-1]}, and no second charge like it is on record.", citations=claim.citations)
    return describe(fact)


def _describe_dispute(facts: FactSheet, handle: str) -> Claim:
    dispute = next(dispute for dispute in facts.disputes if dispute.handle == handle)
    fact = facts.find(handle)
    return Claim(
        text=f"A dispute about {handle} was opened on {say_day(dispute.opened_at)} and its state is {dispute.state}.",
        citations=(cite(fact),) if fact else (),
    )


def _describe_proposal(proposal: Proposal, facts: FactSheet) -> Claim:
    arguments = RefundArguments.model_validate(proposal.arguments.to_record())
    if arguments.transaction in facts.outside:
        text = f"The request to refund {arguments.transaction} goes to the gate as it was made; the gate answers below."
        return Claim(text=text, citations=(_cite_outside(arguments.transaction),))
    fact = facts.find(arguments.transaction)
    amount = render_money(Money(arguments.amount_minor, arguments.currency))
    reason = arguments.reason_code.value.replace("_", " ")
    text = f"A refund of {amount} for {arguments.transaction} is proposed as {reason}; the gate decides"
    return Claim(text=f"{text}, and its answer stands below.", citations=(cite(fact),) if fact else ())


def _no_duplicates(facts: FactSheet) -> Claim:
    newest, count = facts.transactions[:3], len(facts.transactions)
    text = f"Among the {count} latest transactions of this customer no charge was taken twice within 24 hours."
    return Claim(text=text, citations=tuple(map(cite, newest)))


def _overview(facts: FactSheet) -> Claim:
    if not facts.transactions:
        return Claim(text="No transactions of this customer are on record here.", citations=())
    newest = facts.transactions[0]
    text = (
        f"The latest transaction on record is {newest.handle}, a {newest.kind.replace('_', ' ')} of {render_money(newest.money)}"
    )
    return Claim(text=f"{text} on {say_day(newest.occurred_at)}, {newest.status}.", citations=(cite(newest),), is_key=False)


def _no_answer(passages: Sequence[Passage]) -> Claim:
    if passages:
        best = passages[0]
        text = f'I don\'t know: no article answers this. The nearest one is "{show_name(best.title)}".'
        return Claim(text=text, citations=(best.cite(),))
    return Claim(text="I don't know: neither the records nor the articles answer this.", citations=())


def _cite_outside(handle: str) -> Citation:
    return Citation(kind="record", ref=handle, title=f"{handle}: outside this customer's records")
