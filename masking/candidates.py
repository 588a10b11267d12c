"""Which pieces of a text could be a number or an id at all? Found once, then every rule looks at these only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from masking.amounts import is_amount_beside

# A word of letters and digits, its parts held together by what stands inside numbers. A full stop counts only before a digit.
_ATOM = re.compile(r"(?<![0-9A-Za-zÀ-ɏ])[0-9A-Za-z]+(?:[-–‐‑][0-9A-Za-z]+|[.'’·](?=\d)[0-9A-Za-z]+)*")
_JOINT = re.compile(r"[ \t\u00a0\u2009\u202f]{1,2}|/|[ \u00a0]?[-–][ \u00a0]?")
_SEPARATORS = re.compile(r"[^0-9A-Za-z]+")
_MAX_ATOMS = 10
_MAX_COMPACT = 40
# Pieces of a grouped number are short; a longer one stands for itself.
_MAX_PIECE = 6
_REFERENCE_PREFIX = re.compile(
    r"(?:txn|trn|trx|tx|ref|ord|order|inv|invoice|case|tkt|ticket|inc|dsp|dispute|chg|req|sr|cs|crm|evt|msg|batch|rcpt|"
    r"po|so|rma|pay|pmt|"
    r"claim|clm|err|http|ver|v|rev|arn|rrn|stan|mcc|doc|tt|wo|awb|bk|jira|task|bug|pr|issue|svc|auth)(?=[-_./]?\d)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Atom:
    """Hold one piece that stands together. `compact` is its letters and digits, upper case."""

    start: int
    end: int
    compact: str
    digits: int
    is_reference: bool
    """Begins like a reference ("TXN-1234"): a fact, unless its check digits say otherwise."""


@dataclass(frozen=True, slots=True)
class Window:
    """Hold one or more neighbouring atoms as one written number."""

    start: int
    end: int
    raw: str
    compact: str
    digits: int
    pieces: int


def list_atoms(text: str) -> list[Atom]:
    """Return the pieces that hold a digit, and the short words beside them that may belong to a number. No amounts."""
    atoms = []
    for match in _ATOM.finditer(text):
        raw = match[0]
        digits = sum(map(raw.count, "0123456789"))
        if not digits and len(raw) > 4:
            continue
        if digits and is_amount_beside(text, match.start(), match.end()):
            continue
        compact = _SEPARATORS.sub("", raw).upper()
        atoms.append(Atom(match.start(), match.end(), compact, digits, bool(digits) and bool(_REFERENCE_PREFIX.match(raw))))
    return atoms


def list_windows(text: str, atoms: Sequence[Atom], first: int) -> Iterator[Window]:
    """Yield what can be read as one number from this atom on, the longest first. The first and the last hold together with it."""
    last, length, digits = first, len(atoms[first].compact), atoms[first].digits
    ends = [(first, length, digits)]
    while last + 1 < len(atoms) and last - first + 1 < _MAX_ATOMS:
        following = atoms[last + 1]
        joint = text[atoms[last].end : following.start]
        length += len(following.compact)
        if length > _MAX_COMPACT or not _JOINT.fullmatch(joint) or not _may_join(atoms[last], following, joint):
            break
        last += 1
        digits += following.digits
        ends.append((last, length, digits))
    for at, _, count in reversed(ends):
        if not count:
            continue
        compact = "".join(atom.compact for atom in atoms[first : at + 1])
        start, end = atoms[first].start, atoms[at].end
        yield Window(start, end, text[start:end], compact, count, at - first + 1)


def _may_join(left: Atom, right: Atom, joint: str) -> bool:
    if joint == "/":
        return min(len(left.compact), len(right.compact)) <= 4 or len(left.compact) + len(right.compact) <= 12
    return len(left.compact) <= _MAX_PIECE * 2 and len(right.compact) <= _MAX_PIECE * 2
