"""Numbers that a word beside them names. The nearest word decides; one that names a fact keeps the number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from masking.amounts import is_amount_beside
from masking.candidates import Atom, Window, list_windows
from masking.classes import PiiClass
from masking.labels import CODE, KEPT, POSTCODE, Label, label_after, label_before
from masking.place_rules import DATE
from masking.rule import CONTEXT_SCORE, LabelledRule, PatternHit
from masking.validators import is_luhn

_MAX_GAP = 48
_MAX_GAP_SECRET = 36
_MAX_GAP_AFTER = 28
# A sentence ends between the word and the number: the word speaks of something else.
_NEW_SENTENCE = re.compile(r"!\s|\.\s+[^\W\d_]|\n[ \t]*\n|;\s+[^\W\d_]|</")
_LISTED = re.compile(
    r"[\s,/&+]*(?:here)?[\s,]*(?:and|or|und|oder|y|o|et|ou|e|och|en|i|ve|dan|as well as|and also|then|but)?[\s,/&(+]*"
    r"(?:(?:the|my|a)\s)?"
    r"(?:(?:old|new|other|previous|prior|first|second|third|last|one before|next|one after)(?:\s(?:one|code|number))?\s?)?"
    r"(?:(?:was|is|being)\s)?",
    re.IGNORECASE,
)
_LINK_AFTER = re.compile(
    r"[\s\"'”’]{0,3}(?:[(\[=,–-]\s?|(?:(?:is|was|are|being|as|for|that'?s|thats|it'?s|which is|es|est|ist|[eéè]|jest|"
    r"[aä]r|adalah|ni|là)\s{1,2})"
    r"(?:(?:my|the|your|his|her|our|their|a|an|new|old|home|work|current|correct|full|mi|su|mon|votre|meine?|il mio|o "
    r"meu|m[oó]j|min)\s){0,3}"
    r"(?:(?-i:[A-Z])[\w&'-]{0,20}\s){0,3})?",
    re.IGNORECASE,
)
_DATE_LIKE = re.compile(
    r"\d{4}[-/. ]\d{1,2}[-/. ]\d{1,2}|\d{1,2}[-/. ]\d{1,2}[-/. ](?:19|20)?\d{2}"
    r"|\d{1,2}[-/. ]?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}[-/. ]?(?:19|20)?\d{2}",
    re.IGNORECASE,
)
_WHOLE_DATE = re.compile(
    r"(?:(?:19|20)\d{2}([-/. ])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])|(?:0?[1-9]|[12]\d|3[01])([-/. ])(?:0?[1-9]|"
    r"[12]\d|3[01])\2(?:19|20)?\d{2})(?![\w-])"
)
_YEAR = re.compile(r"(?:19|20)\d{2}")
_SPELLED_GROUP = 6
_CLASS_OF_KIND = {POSTCODE: PiiClass.ADDRESS, CODE: PiiClass.SECRET}
# A code is a secret where people speak of how it came and what it opens.
_CODE_REACH = 90
_SHORTEST_CODE = 4
# Three digits called a code beside a card are those on its back.
_CARD_TALK = re.compile(
    r"\bexp(?:iry|ires|iring|iration|\.)?\b|\bvalid\s(?:thru|through|until|to|till)|\bvisa\b|\bmastercard\b|\bamex\b|\bcard\s(?:no|number)|"
    r"\d{4}[ -]\d{4}[ -]\d{4}|(?<!\d)\d{15,16}(?!\d)|\b(?:0[1-9]|1[0-2])/\d{2}\b",
    re.IGNORECASE,
)
_CODE_TALK = re.compile(
    r"shar(?:e|ing)|expir|verif|one[- ]?time|\botp\b|\bsms\b|\btext(?:ed)?\b|log ?in|sign(?:ing)? ?in|\benter|"
    r"\bnever\b|authenti|authoris|authoriz|"
    r"\bapprov|\bconfirm|valid for|\bsecur|passcode|mobile app|sent (?:you|me|to)|got a|received|do not|don'?t (?:tell|"
    r"give|read)|teil|gültig|bestätig|"
    r"partag|valable|compart|v[aá]lid|caduc|condivid|ważny|udostępn|geçerli|paylaş|bagikan|chia s",
    re.IGNORECASE,
)


def find_labelled(
    text: str, labels: Sequence[Label], atoms: Sequence[Atom], rules: Mapping[PiiClass, LabelledRule]
) -> Iterator[PatternHit]:
    """Yield the numbers that labels name."""
    if PiiClass.BIRTH_DATE in rules:
        yield from _find_births(text, labels, rules[PiiClass.BIRTH_DATE])
    if PiiClass.SECRET in rules:
        yield from _find_answers(text, labels)
    last_end, last_label = -1, None
    at = 0
    while at < len(atoms):
        atom = atoms[at]
        if atom.start < last_end or (not atom.digits and not _may_begin(text, atoms, at)):
            at += 1
            continue
        label = _label_of(text, labels, atoms, at, (last_end, last_label))
        if label is None or label.kind == KEPT:
            last_end, last_label = (atom.end, label) if label is not None and atom.digits else (last_end, last_label)
            at += 1
            continue
        day = _WHOLE_DATE.match(text, atom.start)
        if day is not None and (label.kind != PiiClass.ROUTING or "/" in day[0]):
            last_end, last_label = day.end(), label
            at += 1
            continue
        found = _read(text, atoms, at, label, rules)
        if found is not None:
            yield found
            last_end, last_label = found.end, label
        at += 1


def _label_of(text: str, labels: Sequence[Label], atoms: Sequence[Atom], at: int, last: tuple[int, Label | None]) -> Label | None:
    atom = atoms[at]
    before = label_before(labels, atom.start)
    if before is not None and _reaches(text, before, atom.start, last):
        return before
    after = label_after(labels, atom.start)
    if after is None or atom.is_reference:
        return None
    # The word after the whole number, however it is grouped.
    for window in list_windows(text, atoms, at):
        gap = text[window.end : after.start]
        near = 0 <= after.start - window.end <= _MAX_GAP_AFTER and gap.strip()
        if near and after.kind not in (PiiClass.PHONE, POSTCODE) and _LINK_AFTER.fullmatch(gap):
            return after
    return None


def _reaches(text: str, label: Label, start: int, last: tuple[int, Label | None]) -> bool:
    gap = text[label.end : start]
    if len(gap) > (_MAX_GAP_SECRET if label.kind == PiiClass.SECRET else _MAX_GAP) and label.kind != KEPT:
        last_end, last_label = last
        return last_label is label and last_end > label.end and _LISTED.fullmatch(text[last_end:start]) is not None
    # The full stop of an abbreviation ends no sentence: "acct. of".
    if _NEW_SENTENCE.search(gap, 1 if gap.startswith(".") else 0):
        return False
    last_end, last_label = last
    if label.kind == KEPT:
        return len(gap) <= _MAX_GAP_AFTER and not (last_end > label.end)
    if last_end > label.end:
        return last_label is label and _LISTED.fullmatch(text[last_end:start]) is not None
    return True


def _may_begin(text: str, atoms: Sequence[Atom], at: int) -> bool:
    """Say whether these letters begin a number: "AB 12 34 56 C", "DL 12 2011"."""
    raw = text[atoms[at].start : atoms[at].end]
    following = atoms[at + 1] if at + 1 < len(atoms) else None
    return raw.isupper() and following is not None and following.digits > 0 and following.start - atoms[at].end == 1


def _read(text: str, atoms: Sequence[Atom], at: int, label: Label, rules: Mapping[PiiClass, LabelledRule]) -> PatternHit | None:
    around = max(0, atoms[at].start - _CODE_REACH), atoms[at].end + _CODE_REACH
    if label.kind == CODE and not _CODE_TALK.search(text, *around) and not _CARD_TALK.search(text, *around):
        return None
    pii_class = _CLASS_OF_KIND.get(label.kind) or PiiClass(label.kind)
    rule = rules.get(pii_class)
    if rule is None or pii_class is PiiClass.BIRTH_DATE or (atoms[at].is_reference and pii_class is not PiiClass.CUSTOMER_ID):
        return None
    fitting = [window for window in list_windows(text, atoms, at) if _fits(window, rule)]
    if label.kind == CODE:
        shortest = _SHORTEST_CODE - 1 if _CARD_TALK.search(text, *around) else _SHORTEST_CODE
        fitting = [window for window in fitting if window.digits == len(window.compact) >= shortest]
    if not fitting:
        return None
    window = _choose(fitting, pii_class)
    if window is None or _is_inside_word(text, window):
        return None
    return PatternHit(window.start, window.end, pii_class, rule.score)


def _fits(window: Window, rule: LabelledRule) -> bool:
    length = len(window.compact)
    if not rule.shortest <= length <= rule.longest or window.digits < rule.min_digits:
        return False
    if rule.digits_only and window.digits != length:
        return False
    if rule.pii_class is not PiiClass.ROUTING and _DATE_LIKE.fullmatch(window.raw) and not window.raw.isdigit():
        return False
    if window.pieces > 1 and not _is_one_number(window, rule):
        return False
    return not (rule.pii_class in (PiiClass.CUSTOMER_ID, PiiClass.LICENSE) and _YEAR.fullmatch(window.compact))


def _is_one_number(window: Window, rule: LabelledRule) -> bool:
    """Say whether the pieces are short and alike, as those of a grouped number are; letters only at its beginning and its end."""
    pieces = re.split(r"[^0-9A-Za-z]+", window.raw)
    if any(len(piece) > _SPELLED_GROUP for piece in pieces[:-1]) and "/" not in window.raw and "-" not in window.raw:
        return rule.pii_class in (PiiClass.LICENSE, PiiClass.CUSTOMER_ID) and len(pieces) == 2
    inner = pieces[1:-1] if len(pieces) > 2 else []
    if any(not any(map(str.isdigit, piece)) for piece in inner) and rule.pii_class is not PiiClass.IBAN:
        return False
    last = pieces[-1]
    if last.isalpha() and (len(last) > 1 or not last.isupper()) and rule.pii_class is not PiiClass.IBAN:
        return False
    first = pieces[0]
    return not first.isalpha() or first.isupper() or "-" in window.raw


def _choose(fitting: Sequence[Window], pii_class: PiiClass) -> Window | None:
    if pii_class is PiiClass.CARD:
        return next((window for window in fitting if is_luhn(window.compact)), fitting[0])
    if pii_class is PiiClass.ROUTING:
        # A sort code stands before the account number as often as not.
        return next((window for window in fitting if window.digits in (6, 8, 9)), fitting[0])
    return fitting[0]


def _is_inside_word(text: str, window: Window) -> bool:
    return text[window.start - 1 : window.start] == "_" or text[window.end : window.end + 1] == "_"


def _find_births(text: str, labels: Sequence[Label], rule: LabelledRule) -> Iterator[PatternHit]:
    births = [label for label in labels if label.kind == PiiClass.BIRTH_DATE]
    if not births:
        births = [Label(match.start(), match.end(), PiiClass.BIRTH_DATE) for match in _BIRTH_WORDS.finditer(text)]
    last_end, last_label = -1, None
    for match in _list_dates(text, births):
        start, end = match.span()
        if start and ((text[start - 1].isascii() and text[start - 1].isalnum()) or text[start - 1] in "_.-/"):
            continue
        before, after = label_before(births, start), label_after(births, end)
        named = before is not None and start - before.end <= _MAX_GAP and not _NEW_SENTENCE.search(text, before.end, start)
        if named and last_label is before and not _LISTED.fullmatch(text, last_end, start):
            named = False
        if (
            not named
            and after is not None
            and after.start - end <= _MAX_GAP_AFTER
            and _LINK_AFTER.fullmatch(text, end, after.start)
        ):
            named, before = True, after
        if named:
            yield PatternHit(start, end, PiiClass.BIRTH_DATE, rule.score)
            last_end, last_label = end, before
        elif _LONG_AGO.search(match[0]) and _NAME_BEFORE.search(text, max(0, start - 24), start):
            yield PatternHit(start, end, PiiClass.BIRTH_DATE, CONTEXT_SCORE)


def _list_dates(text: str, births: Sequence[Label]) -> Iterator[re.Match[str]]:
    """Yield the dates around words of birth and years of long ago; nothing else is worth the look."""
    around = [(label.start - _DATE_REACH, label.end + 2 * _DATE_REACH) for label in births]
    around += [(match.start() - _LONGEST_DAY, match.end() + _LONGEST_DAY) for match in _LONG_AGO.finditer(text)]
    end = 0
    for low, high in sorted(around):
        start = max(low, end, 0)
        if high <= start:
            continue
        for match in DATE.finditer(text, start, min(high, len(text))):
            if match.start() >= end:
                yield match
                end = match.end()
        end = max(end, high - _DATE_REACH)


def _find_answers(text: str, labels: Sequence[Label]) -> Iterator[PatternHit]:
    """Yield the codes that are told some words or a turn after somebody spoke of a code, a PIN, a password."""
    asked = [label for label in labels if label.kind in (PiiClass.SECRET, CODE)]
    if not asked:
        return
    for match in _ALONE.finditer(text):
        start, end = match.span()
        label, nearest = label_before(asked, start), label_before(labels, start)
        if label is None or start - label.end > _ANSWER_REACH:
            continue
        if (
            nearest is not label
            and nearest is not None
            and nearest.kind in _OTHER_NUMBERS
            and start - nearest.end <= _MAX_GAP_AFTER
        ):
            continue
        if label.kind == CODE and not _CODE_TALK.search(text, max(0, label.start - _CODE_REACH), end + _CODE_REACH):
            continue
        if _TELLS.search(text, max(label.end, start - _TELLS_REACH), start) and not is_amount_beside(text, start, end):
            yield PatternHit(start, end, PiiClass.SECRET, CONTEXT_SCORE)


_OTHER_NUMBERS = frozenset({KEPT, PiiClass.ACCOUNT, PiiClass.CARD, PiiClass.NATIONAL_ID, PiiClass.PHONE, POSTCODE})
_ALONE = re.compile(r"(?<![\w.,/:#-])\d{4,8}(?![\w%]|[.,:/-]\d)")
_ANSWER_REACH = 150
_TELLS_REACH = 40
_TELLS = re.compile(
    r"(?:\b(?:it'?s|it|is|was|were|are|here|have|got|gave|says?|said|reads?|shows?|showing|tried|try|used?|using|entered|enter|type|typed|put|with|"
    r"to|from|then|yes|ok|okay|sure|es|est|ist|era)|[=:\"“”‘'?,\n(])\W{0,4}(?:\w{1,10}\W{1,2}){0,2}$",
    re.IGNORECASE,
)
_DATE_REACH = 60
_LONGEST_DAY = 30
# A day of long ago right behind a name or at the head of a cell is a birthday: accounts and charges are younger.
_LONG_AGO = re.compile(r"(?<!\d)(?:19[2-9]\d|200[0-9])(?!\d)")
_NAME_BEFORE = re.compile(r"(?:(?<![^\W_])[^\W\d_a-z][^\W\d_]+(?:\)|,|\s\(|\s-)\s?\(?|[|;\t]\s{0,3})$")
_BIRTH_WORDS = re.compile(r"(?<![^\W_])(?:d\.?\s?o\.?\s?b|birth|born|birthday)(?![^\W_])", re.IGNORECASE)
