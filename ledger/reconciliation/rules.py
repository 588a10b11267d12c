"""The rules by which a statement line and transfers are one and the same. Versioned: a match names the rule that made it.

Precedence, first to last; a rule sees only what the ones before it left:

1. `exact_reference`    the line names the transfer, and amount, currency and direction are equal.
2. `batch_sum`          the line names a settlement batch, or several transfers, and their amounts sum to the line's.
3. `reference_with_fee` the line names the transfer and is lower by at most the tolerance: the bank kept a fee.
4. `amount_and_date`    the line names nothing of ours; amount, currency and direction are equal, the days are close, and neither
                        side has another candidate.

No rule chooses: where two transfers fit one line, or two lines one transfer, the lines are `ambiguous` and wait for a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Rule(StrEnum):
    """Name a rule. The order is the precedence."""

    EXACT_REFERENCE = "exact_reference"
    BATCH_SUM = "batch_sum"
    REFERENCE_WITH_FEE = "reference_with_fee"
    AMOUNT_AND_DATE = "amount_and_date"


class BreakKind(StrEnum):
    """Name why something of a statement or of the ledger is left over."""

    MISSING_IN_LEDGER = "missing_in_ledger"
    MISSING_IN_STATEMENT = "missing_in_statement"
    AMOUNT_DIFFERS = "amount_differs"
    AMBIGUOUS = "ambiguous"
    BALANCE_DIFFERS = "balance_differs"
    DUPLICATE_LINE = "duplicate_line"


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Hold the tolerances under a version. `grace`: how long after a statement's end a transfer may still appear in the next one.

    A fee is at most `fee_max_permille` of the transfer and at most `fee_max_minor`.
    """

    version: str
    days: int
    fee_max_permille: int
    fee_max_minor: int
    grace: timedelta

    def name(self, rule: Rule) -> str:
        """Return what a match keeps: the rule and the version of its tolerances."""
        return f"{rule.value}@{self.version}"

    def allows_fee(self, *, transfer_minor: int, line_minor: int) -> bool:
        """Say whether the line is the transfer less a fee. A fee always costs us, in either direction."""
        fee_minor = transfer_minor - line_minor
        same_direction = (transfer_minor > 0) == (line_minor > 0)
        return (
            same_direction
            and 0 < fee_minor <= self.fee_max_minor
            and fee_minor * 1_000 <= abs(transfer_minor) * self.fee_max_permille
        )


RULES = RuleSet(version="1", days=3, fee_max_permille=20, fee_max_minor=3_000, grace=timedelta(days=2))
