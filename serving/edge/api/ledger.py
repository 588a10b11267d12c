"""The ledger for people who look after it: accounts, balances, statements, holds, the trial balance, and a check on demand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict

from domain.clock import parse_time
from domain.errors import InvalidInput
from domain.ids import require_id, uuid_of
from domain.roles import Role
from ledger.balances import (
    find_balance,
    find_balance_at,
    find_transfer,
    list_accounts,
    list_entries,
    list_entries_before,
    list_open_holds,
    list_trial_balance,
)
from ledger.port import AccountBalance, AccountNotFound, StatementLine, Transfer
from serving.edge.access import UsedServices, call_for
from serving.edge.sessions import SignedIn

router = APIRouter(tags=["ledger"])
Reader = Annotated[SignedIn, Depends(call_for(Role.INVESTIGATOR, Role.AUDITOR, Role.ADMIN))]
Checker = Annotated[SignedIn, Depends(call_for(Role.AUDITOR, Role.ADMIN))]
_CODE = r"^[A-Za-z0-9_.:+@/-]{1,200}$"
Account = Annotated[str, Query(alias="account", pattern=_CODE, description="Such as customer:acc_… or house:fees:EUR")]
Currency = Annotated[str, Query(pattern=r"^[A-Z]{3}$")]
Limit = Annotated[int, Query(ge=1, le=500)]
_MAX_VERSION = 2**53 - 1


class TransferNotFound(AccountNotFound):
    """Say that there is no such transfer in this tenant's ledger; it may be archived."""

    code = "transfer_not_found"


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)


class BalanceOut(_Wire):
    """One account's sums in one snapshot, in minor units. `balance_minor` is credits minus debits, posted only."""

    code: str
    currency: str
    balance_minor: int
    debits_posted_minor: int
    credits_posted_minor: int
    debits_pending_minor: int
    credits_pending_minor: int
    version: int


class AccountOut(BalanceOut):
    """One account with its sums and flags."""

    debits_must_not_exceed_credits: bool
    credits_must_not_exceed_debits: bool
    rolled_up: bool
    closed: bool
    stopped: bool


class AccountPage(_Wire):
    """One page, by code and currency; ask again with `after` = `next_after` for more, until it is null."""

    items: list[AccountOut]
    next_after: str | None


class LineOut(_Wire):
    """One line of a statement. `balance_after_minor` is null on a rolled-up account."""

    version: int
    transfer_id: str
    kind: str
    code: str
    side: str
    other_account: str
    amount_minor: int
    balance_after_minor: int | None
    occurred_at: datetime
    recorded_at: datetime


class StatementOut(_Wire):
    """One page of a statement, with the balance. `next_after`, `next_before`: the cursor for more, or null."""

    balance: BalanceOut
    items: list[LineOut]
    next_after: int | None
    next_before: int | None


class TrialLineOut(_Wire):
    """One currency's posted sums over all accounts; the difference is 0, or the ledger is broken."""

    currency: str
    debits_posted_minor: int
    credits_posted_minor: int
    difference_minor: int


class TrialBalanceOut(_Wire):
    """The trial balance, one line per currency."""

    items: list[TrialLineOut]


class HoldOut(_Wire):
    """One open hold."""

    transfer_id: str
    debit: str
    credit: str
    currency: str
    held_minor: int
    expires_at: datetime | None


class HoldPage(_Wire):
    """Open holds, the first due first."""

    items: list[HoldOut]


class TransferOut(_Wire):
    """One transfer as it was written. `decision_id` is null for what the ledger does by itself."""

    transfer_id: str
    kind: str
    code: str
    debit: str
    credit: str
    amount_minor: int
    currency: str
    target_id: str | None
    decision_id: str | None
    debit_version: int
    credit_version: int
    debit_balance_after_minor: int | None
    credit_balance_after_minor: int | None
    occurred_at: datetime
    recorded_at: datetime


class FindingOut(_Wire):
    """One breach, with the case that was opened for it and the accounts on which posting was stopped now."""

    finding: str
    subject: str
    transfer_id: str | None
    case_id: str
    stopped: list[str]
    detail: dict[str, Any]


class CheckOut(_Wire):
    """What a check looked at, how long each part of it took, and what it found."""

    checked_at: datetime
    transfers: int
    accounts: int
    took_ms: dict[str, int]
    findings: list[FindingOut]


@router.get("/ledger/accounts", operation_id="listLedgerAccounts")
def get_accounts(
    caller: Reader,
    services: UsedServices,
    prefix: Annotated[str, Query(pattern=r"^[A-Za-z0-9_.:+@/-]{0,200}$")] = "",
    after: Annotated[
        str | None, Query(pattern=r"^[A-Za-z0-9_.:+@/-]{1,204}$", description="`next_after` of the page before")
    ] = None,
    limit: Limit = 100,
) -> AccountPage:
    """List accounts whose codes begin with a prefix."""
    with services.deps.database.work(caller.tenant_id) as connection:
        found = list_accounts(connection, prefix=prefix, after=_cursor_of(after), limit=limit)
    items = [AccountOut.model_validate(one) for one in found]
    return AccountPage(items=items, next_after=f"{items[-1].code}/{items[-1].currency}" if len(items) == limit else None)


@router.get("/ledger/balance", operation_id="getLedgerBalance")
def get_balance(
    caller: Reader,
    services: UsedServices,
    code: Account,
    currency: Currency,
    at: Annotated[str | None, Query(max_length=40, description="RFC 3339; entries recorded until then count")] = None,
) -> BalanceOut:
    """Return an account's balance with what is held, now or at a time."""
    moment = None if at is None else parse_time(at)
    with services.deps.database.work(caller.tenant_id) as connection:
        found = (
            find_balance(connection, code, currency) if moment is None else find_balance_at(connection, code, currency, moment)
        )
    return _balance_of(found, code, currency)


@router.get("/ledger/statement", operation_id="getLedgerStatement")
def get_statement(
    caller: Reader,
    services: UsedServices,
    code: Account,
    currency: Currency,
    after: Annotated[int | None, Query(ge=0, le=_MAX_VERSION, description="Oldest first, from after this version")] = None,
    before: Annotated[int | None, Query(ge=0, le=_MAX_VERSION, description="Newest first, from before this version")] = None,
    limit: Limit = 100,
) -> StatementOut:
    """Return a page of an account's statement: the newest lines, or those after or before a version."""
    if after is not None and before is not None:
        raise InvalidInput("after and before exclude each other", code="two_cursors")
    with services.deps.database.work(caller.tenant_id) as connection:
        balance = _balance_of(find_balance(connection, code, currency), code, currency)
        if after is not None:
            lines = list_entries(connection, code, currency, after=after, limit=limit)
        else:
            lines = list_entries_before(connection, code, currency, before=before, limit=limit)
    more = lines[-1].version if len(lines) == limit else None
    return StatementOut(
        balance=balance,
        items=[_line_of(line) for line in lines],
        next_after=more if after is not None else None,
        next_before=more if after is None else None,
    )


@router.get("/ledger/trial-balance", operation_id="getTrialBalance")
def get_trial_balance(caller: Reader, services: UsedServices) -> TrialBalanceOut:
    """Return the posted sums of each currency, in one snapshot."""
    with services.deps.database.work(caller.tenant_id) as connection:
        found = list_trial_balance(connection)
    return TrialBalanceOut(
        items=[
            TrialLineOut(
                currency=one.currency,
                debits_posted_minor=one.debits_posted_minor,
                credits_posted_minor=one.credits_posted_minor,
                difference_minor=one.credits_posted_minor - one.debits_posted_minor,
            )
            for one in found
        ]
    )


@router.get("/ledger/holds", operation_id="listOpenHolds")
def get_open_holds(
    caller: Reader,
    services: UsedServices,
    account: Annotated[str | None, Query(pattern=_CODE)] = None,
    limit: Limit = 100,
) -> HoldPage:
    """List open holds, of one account where it is given."""
    with services.deps.database.work(caller.tenant_id) as connection:
        found = list_open_holds(connection, code=account, limit=limit)
    same = ("debit", "credit", "currency", "held_minor", "expires_at")
    return HoldPage(
        items=[HoldOut(transfer_id=f"tfr_{one.transfer_id.hex}", **{name: getattr(one, name) for name in same}) for one in found]
    )


@router.get("/ledger/transfers/{transfer_id}", operation_id="getTransfer")
def get_transfer(transfer_id: str, caller: Reader, services: UsedServices) -> TransferOut:
    """Return one transfer."""
    wanted = uuid_of(require_id(transfer_id, "tfr"))
    with services.deps.database.work(caller.tenant_id) as connection:
        found = find_transfer(connection, wanted)
    if found is None:
        raise TransferNotFound(f"there is no {transfer_id} in the ledger of this workspace")
    return _transfer_of(found)


@router.post("/ledger/checks", operation_id="checkLedger")
async def post_check(caller: Checker, services: UsedServices) -> CheckOut:
    """Check all invariants of the ledger now; what is found opens incidents and stops posting on the accounts concerned."""
    if services.deps.ledger is None:
        raise InvalidInput("this edge was started without a way to the process that checks", code="checks_not_connected")
    return CheckOut.model_validate(await services.deps.ledger.run_check(caller.tenant_id))


def _cursor_of(after: str | None) -> tuple[str, str] | None:
    if after is None:
        return None
    code, slash, currency = after.rpartition("/")
    if not slash or not code:
        raise InvalidInput("after is the next_after of the page before, such as customer:acc_1/EUR", code="invalid_cursor")
    return code, currency


def _balance_of(found: AccountBalance | None, code: str, currency: str) -> BalanceOut:
    if found is None:
        raise AccountNotFound(f"there is no account {code} in {currency} in this workspace")
    return BalanceOut.model_validate(found)


def _line_of(line: StatementLine) -> LineOut:
    same = ("version", "other_account", "amount_minor", "balance_after_minor", "occurred_at", "recorded_at")
    return LineOut(
        transfer_id=f"tfr_{line.transfer_id.hex}",
        kind=line.kind.value,
        code=line.code.name.lower(),
        side=line.side.value,
        **{name: getattr(line, name) for name in same},
    )


def _transfer_of(found: Transfer) -> TransferOut:
    same = (
        "debit", "credit", "amount_minor", "currency", "decision_id", "debit_version", "credit_version",
        "debit_balance_after_minor", "credit_balance_after_minor", "occurred_at", "recorded_at",
    )  # fmt: skip
    return TransferOut(
        transfer_id=f"tfr_{found.transfer_id.hex}",
        kind=found.kind.value,
        code=found.code.name.lower(),
        target_id=None if found.target_id is None else f"tfr_{found.target_id.hex}",
        **{name: getattr(found, name) for name in same},
    )
