"""Account numbers that no word names: right behind the name of who holds them, or where money was sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from masking.arbitration import Candidate, Places
from masking.classes import PiiClass
from masking.rule import CONTEXT_SCORE

# "Ana Lima, 52810-2"; "Femi Ojo acc 2034567812"; "'Ana Lima', '52810-2'". Any word may stand between where the number is long.
_BEHIND_NAME = re.compile(
    r"[\"']?[ \t]{0,3}(?:[,;:|(/=–-]|->|→)?[ \t]{0,3}[\"']?"
    r"(?:(?:(?:acc|acct|a/c|ac|account|no|nr|number|at|on|bank)\.?[ \t:#]{1,3}){0,3}(?P<v>\d(?:[ -]?\d){5,17})"
    r"|[a-z]{2,9}\.?[ \t:]{1,2}(?P<long>\d{7,18}))(?![\w%-])(?![.,:/]\d)",
    re.IGNORECASE,
)
_SENT_TO = re.compile(
    r"\b(?:sen[dt]|transfer(?:red)?|paid|pay|wired?|deposit(?:ed)?|moved?|credit(?:ed)?|payout|payment|überwiesen|überweisung|viré|"
    r"virement|transferid?[oa]|enviad?[oa]|przelew|gönder\w{0,6}|kirim|transfert|tuma)\b[^\n.!?]{0,48}?"
    r"\b(?:to|2|into|from|an|auf|vers|sur|para|a|na|ke|kwa|naar|till|til|su)[ \t](?:(?P<v>\d{5,8}-\d)|(?P<long>\d{7,18}))"
    r"(?![\w%-])(?![.,:/]\d)",
    re.IGNORECASE,
)
_DATE_LIKE = re.compile(
    r"(?:19|20)\d{2}[ -]?(?:0[1-9]|1[0-2])[ -]?(?:0[1-9]|[12]\d|3[01])|(?:0[1-9]|[12]\d|3[01])-(?:0[1-9]|1[0-2])-\d{2,4}"
)


def find_unnamed_accounts(text: str, found: Sequence[Candidate], taken: Places) -> Iterator[Candidate]:
    """Yield the numbers. `taken` are places of facts and of what must be left alone; what is found already stays as it is."""
    covered = Places((one.start, one.end) for one in found)
    behind = (_BEHIND_NAME.match(text, one.end) for one in found if one.pii_class is PiiClass.PERSON)
    matches = [match for match in (*behind, *_SENT_TO.finditer(text)) if match is not None]
    last = -1
    for start, end in sorted(match.span("v" if match["v"] else "long") for match in matches):
        is_other = covered.touches(start, end) or taken.touches(start, end) or _DATE_LIKE.fullmatch(text, start, end)
        if start >= last and not is_other:
            yield Candidate(start, end, PiiClass.ACCOUNT, CONTEXT_SCORE, "pattern")
            last = end
