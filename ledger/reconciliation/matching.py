"""The pure core: lines and transfers in, matches and breaks out. The order of the input never matters."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from ledger.reconciliation.references import is_own_id
from ledger.reconciliation.rules import BreakKind, Rule, RuleSet


@dataclass(frozen=True, slots=True)
class Line:
    """Hold an unmatched line as the ledger sees it: a credit on the account is positive."""

    line_id: str
    amount_minor: int
    currency: str
    booked_on: date
    reference_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Movement:
    """Hold what an unmatched transfer does to the account: a credit is positive. `keys` are what may name it."""

    transfer_id: str
    amount_minor: int
    currency: str
    occurred_on: date
    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class Match:
    """Hold a line and its transfers, sorted. `difference_minor` is the line less the transfers: 0, or the fee as a negative."""

    line_id: str
    transfer_ids: tuple[str, ...]
    rule: Rule
    difference_minor: int


@dataclass(frozen=True, slots=True)
class Break:
    """Hold a line that is left over and the transfers that were considered, sorted.

    `difference_minor` is the line less the named transfers, where it names any.
    """

    line_id: str
    kind: BreakKind
    transfer_ids: tuple[str, ...] = ()
    difference_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """Hold what became of every line, sorted by line."""

    matches: tuple[Match, ...]
    breaks: tuple[Break, ...]


@dataclass(slots=True)
class _Desk:
    """What is still free, and what was found."""

    lines: dict[str, Line]
    movements: dict[str, Movement]
    named: dict[str, frozenset[str]]
    groups: dict[str, frozenset[frozenset[str]]]
    barred: Collection[tuple[str, str]]
    rules: RuleSet
    matches: list[Match] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)

    def may(self, line: Line, movement: Movement) -> bool:
        """Say whether the two may meet at all: one currency, and no person took this pair apart before."""
        return line.currency == movement.currency and (line.line_id, movement.transfer_id) not in self.barred

    def open_lines(self) -> list[Line]:
        return [line for line_id, line in self.lines.items() if line_id not in self.settled]


def match_lines(
    lines: Iterable[Line],
    movements: Iterable[Movement],
    *,
    batches: Mapping[str, frozenset[str]],
    barred: Collection[tuple[str, str]],
    rules: RuleSet,
) -> Result:
    """Match by the rules in their precedence. Each line ends in one match or in one break; each transfer is used at most once.

    `batches`: reference key of a settlement batch -> all its transfers, by id; one that holds a transfer which is not among
    `movements` never sums up. `barred`: pairs of line and transfer that a person took apart.
    """
    desk = _lay_out(lines, movements, batches, barred, rules)
    for rule, candidates in (
        (Rule.EXACT_REFERENCE, _exact_candidates),
        (Rule.BATCH_SUM, _batch_candidates),
        (Rule.REFERENCE_WITH_FEE, _fee_candidates),
        (Rule.AMOUNT_AND_DATE, _date_candidates),
    ):
        _apply(desk, rule, candidates(desk))
    for line in desk.open_lines():
        desk.breaks.append(_left_over(desk, line))
    return Result(
        matches=tuple(sorted(desk.matches, key=lambda found: found.line_id)),
        breaks=tuple(sorted(desk.breaks, key=lambda found: found.line_id)),
    )


def _lay_out(
    lines: Iterable[Line],
    movements: Iterable[Movement],
    batches: Mapping[str, frozenset[str]],
    barred: Collection[tuple[str, str]],
    rules: RuleSet,
) -> _Desk:
    by_line = {line.line_id: line for line in lines}
    by_transfer = {movement.transfer_id: movement for movement in movements}
    by_key: dict[str, set[str]] = defaultdict(set)
    for movement in by_transfer.values():
        for key in movement.keys:
            by_key[key].add(movement.transfer_id)
    named: dict[str, frozenset[str]] = {}
    groups: dict[str, frozenset[frozenset[str]]] = {}
    for line in by_line.values():
        directly = frozenset(transfer_id for key in line.reference_keys for transfer_id in by_key.get(key, ()))
        found = {batches[key] for key in line.reference_keys if batches.get(key)}
        if len(directly) > 1:
            found.add(directly)
        named[line.line_id], groups[line.line_id] = directly, frozenset(found)
    return _Desk(by_line, by_transfer, named, groups, barred, rules)


Candidates = Mapping[str, Sequence[frozenset[str]]]
"""For each line the sets of transfers that fit it, each set a whole answer."""


def _apply(desk: _Desk, rule: Rule, candidates: Candidates) -> None:
    """Match the lines that have one answer which no other line shares a transfer with; the contested ones are ambiguous."""
    claims = Counter(transfer_id for answers in candidates.values() for transfer_id in frozenset[str]().union(*answers))
    for line_id, answers in candidates.items():
        if not answers:
            continue
        involved = frozenset[str]().union(*answers)
        desk.settled.add(line_id)
        desk.taken |= involved
        if len(answers) == 1 and all(claims[transfer_id] == 1 for transfer_id in involved):
            desk.matches.append(Match(line_id, tuple(sorted(involved)), rule, _difference(desk, line_id, involved)))
        else:
            desk.breaks.append(Break(line_id, BreakKind.AMBIGUOUS, tuple(sorted(involved))))


def _difference(desk: _Desk, line_id: str, transfer_ids: Iterable[str]) -> int:
    return desk.lines[line_id].amount_minor - sum(desk.movements[transfer_id].amount_minor for transfer_id in transfer_ids)


def _exact_candidates(desk: _Desk) -> Candidates:
    return {
        line.line_id: [
            frozenset({movement.transfer_id})
            for movement in _free_named(desk, line)
            if movement.amount_minor == line.amount_minor
        ]
        for line in desk.open_lines()
    }


def _batch_candidates(desk: _Desk) -> Candidates:
    return {
        line.line_id: [group for group in sorted(desk.groups[line.line_id], key=sorted) if _sums_to(desk, line, group)]
        for line in desk.open_lines()
    }


def _sums_to(desk: _Desk, line: Line, group: frozenset[str]) -> bool:
    if not group <= desk.movements.keys() or group & desk.taken:
        return False
    members = [desk.movements[transfer_id] for transfer_id in group]
    return all(desk.may(line, movement) for movement in members) and _difference(desk, line.line_id, group) == 0


def _fee_candidates(desk: _Desk) -> Candidates:
    return {
        line.line_id: [
            frozenset({movement.transfer_id})
            for movement in _free_named(desk, line)
            if desk.rules.allows_fee(transfer_minor=movement.amount_minor, line_minor=line.amount_minor)
        ]
        for line in desk.open_lines()
    }


def _date_candidates(desk: _Desk) -> Candidates:
    lines = [line for line in desk.open_lines() if not _names_ours(desk, line)]
    # What an unmatched line names is spoken for, even where the two do not fit.
    matched = {match.line_id for match in desk.matches}
    unmatched = [line_id for line_id in desk.lines if line_id not in matched]
    spoken_for = desk.taken.union(*(desk.named[line_id].union(*desk.groups[line_id]) for line_id in unmatched))
    by_amount: dict[tuple[int, str], list[Movement]] = defaultdict(list)
    for movement in desk.movements.values():
        if movement.transfer_id not in spoken_for:
            by_amount[movement.amount_minor, movement.currency].append(movement)
    return {
        line.line_id: [
            frozenset({movement.transfer_id})
            for movement in by_amount.get((line.amount_minor, line.currency), ())
            if abs((line.booked_on - movement.occurred_on).days) <= desk.rules.days and desk.may(line, movement)
        ]
        for line in lines
    }


def _free_named(desk: _Desk, line: Line) -> list[Movement]:
    free = [desk.movements[transfer_id] for transfer_id in desk.named[line.line_id] - desk.taken]
    return [movement for movement in free if desk.may(line, movement)]


def _names_ours(desk: _Desk, line: Line) -> bool:
    return bool(desk.named[line.line_id] or desk.groups[line.line_id] or any(map(is_own_id, line.reference_keys)))


def _left_over(desk: _Desk, line: Line) -> Break:
    named = desk.named[line.line_id].union(*desk.groups[line.line_id])
    free = {
        transfer_id
        for transfer_id in named & desk.movements.keys()
        if transfer_id not in desk.taken and (line.line_id, transfer_id) not in desk.barred
    }
    if not free:
        return Break(line.line_id, BreakKind.MISSING_IN_LEDGER, tuple(sorted(named)))
    same_currency = all(desk.movements[transfer_id].currency == line.currency for transfer_id in free)
    difference_minor = _difference(desk, line.line_id, free) if same_currency else None
    return Break(line.line_id, BreakKind.AMOUNT_DIFFERS, tuple(sorted(named)), difference_minor)
