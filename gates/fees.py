"""The fee schedule of a policy bundle: named rules that an amount can be derived by. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gates.policy.bundle import InvalidBundle, PolicyBundle

FEES = "fees.json"
_BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class FeeRule:
    """Hold one rule: a share of an amount in basis points, fixed amounts by currency in minor units, or both."""

    name: str
    basis_points: int | None = None
    amounts: Mapping[str, int] = field(default_factory=dict)

    def share_of(self, amount_minor: int) -> int | None:
        """Return the rule's share of an amount, a half rounded up, or None for a rule without a share."""
        if self.basis_points is None:
            return None
        return (amount_minor * self.basis_points + _BASIS_POINTS // 2) // _BASIS_POINTS


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _FeeEntry(_Frozen):
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,40}$")]
    basis_points: Annotated[int, Field(gt=0, le=_BASIS_POINTS)] | None = None
    amounts: dict[Annotated[str, Field(pattern=r"^[A-Z]{3}$")], Annotated[int, Field(gt=0, le=10**12)]] = {}


class _FeeFile(_Frozen):
    format: str = Field(pattern=r"^tellergate-fees/1$")
    fees: list[_FeeEntry]


def read_fees(bundle: PolicyBundle) -> tuple[FeeRule, ...]:
    """Return the bundle's fee rules; none where it has no `fees.json`. Raises: InvalidBundle."""
    text = bundle.content["files"].get(FEES)
    return () if text is None else parse_fees(text)


def parse_fees(text: str) -> tuple[FeeRule, ...]:
    """Read a schedule: `{"format": "tellergate-fees/1", "fees": [{"name", "basis_points"?, "amounts"?}]}`.

    Raises: InvalidBundle.
    """
    try:
        schedule = _FeeFile.model_validate(json.loads(text))
    except ValidationError as error:
        raise InvalidBundle(f"{FEES}: {error.errors(include_url=False, include_input=False)}") from error
    except ValueError as error:
        raise InvalidBundle(f"{FEES}: {error}") from error
    names = [entry.name for entry in schedule.fees]
    if len(set(names)) != len(names):
        raise InvalidBundle(f"{FEES}: a name stands twice")
    return tuple(FeeRule(name=entry.name, basis_points=entry.basis_points, amounts=entry.amounts) for entry in schedule.fees)
