"""Which fields does a text have, and what do their keys say of the values? JSON, XML, tables, `key: value` and logfmt."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from masking.classes import PiiClass, fold_key, named_classes
from masking.field_values import trim_fact, trim_value
from masking.tables import find_cells
from masking.word_lists import load_words

_MAX_KEY_WORDS = 6
# Whose name it is decides: these are no people.
_OTHERS_NAMES = frozenset({
    "merchant", "bank", "product", "company", "business", "file", "plan", "event", "service", "app", "employer", "store", "shop",
    "branch", "institution", "host", "server", "field", "column", "table", "job", "queue", "policy", "package", "brand", "vendor",
})  # fmt: skip
# Whoever stands beside these: a person, an account, a customer's number.
_PARTIES = frozenset({"from", "to", "customer", "client", "member", "cust", "owner", "src", "dst", "source", "destination"})
_DAY = re.compile(r"(?:19|20)\d{6}|\d{4}-\d\d-\d\d.{0,20}|\d{1,2}[-/]\d{1,2}[-/]\d{2,4}")
# Keys that say nothing without what holds them.
_BARE = frozenset({"id", "number", "no", "value", "num"})
_PARENT_REACH = 160
_JSON_PARENT = re.compile(
    r"[\"'](?P<key>[\w .-]{2,40})[\"']\s{0,4}:\s{0,4}\{(?:\s{0,20}[\"'][\w .-]{1,40}[\"']\s{0,4}:\s{0,4}[\"']?[^{}\"']{0,60}"
    r"[\"']?,?){0,3}\s{0,20}[\"'](?:id|number|no|value|num)[\"']\s{0,4}:\s{0,4}[\"']?$",
    re.IGNORECASE,
)
_OPEN_TAG = re.compile(r"<(?:\w{1,20}:)?([A-Za-z]\w{1,40})(?:\s[^<>]{0,80})?>(?=\s{0,20}<|[^<>]{0,3}$|$)")
_XML_PARENTS = {
    "Acct": "account",
    "Account": "account",
    "PrvtId": "national_id",
    "Customer": "customer_id",
    "Cstmr": "customer_id",
    "Client": "customer_id",
    "Card": "card",
}
# Too short or too common to be read out of a longer key.
_WHOLE_ONLY = frozenset({
    "user", "pass", "contact", "social", "device", "via", "cap", "cp", "cf", "rc", "tz", "from_account",
    "name",
    "ad", "id_no", "ip", "run", "ne", "birth",
})  # fmt: skip
_STRING = r"\"(?:[^\"\\\n]|\\.){0,2000}\"|'(?:[^'\\\n]|\\.){0,2000}'"
_JSON_PAIR = re.compile(
    rf"\\?(?P<q>[\"'])(?P<key>[\w .:@/-]{{1,60}})\\?(?P=q)\s{{0,4}}(?::|=>)\s{{0,4}}"
    rf"(?P<value>\\\"[^\"\\\n]{{0,2000}}\\\"|{_STRING}|-?\d[\d.eE+-]{{0,40}}|\[(?=[^\[\]]{{0,4000}}\])|"
    rf"\{{(?=[^{{}}]{{0,4000}}\}}))"
)
_ITEM = re.compile(_STRING + r"|-?\d[\d.eE+-]{0,40}")
_XML_ELEMENT = re.compile(r"<(?:\w{1,20}:)?(?P<key>[A-Za-z_][\w.-]{0,59})(?:\s[^<>]{0,400})?>(?P<value>[^<>]{1,2000})</")
_XML_ATTRIBUTE = re.compile(r"\s(?P<key>[A-Za-z_][\w.:-]{0,59})=(?P<value>\"[^\"<>]{0,1000}\"|'[^'<>]{0,1000}')")
_ASSIGNMENT = re.compile(
    r"(?<![\w=./-])(?P<key>[A-Za-z_][\w.-]{0,59})=(?P<value>\"[^\"\n]{0,1000}\"|'[^'\n]{0,1000}'|[^\s\"'&,;|<>(){}\[\]]{1,500})"
    r"|(?<=[?&])(?P<query>[A-Za-z_][\w.-]{0,59})=(?P<argument>[^\s\"'&<>]{1,500})"
)
_LABEL = r"[^\W\d_][^\W_]{0,30}(?:[ _/.'’()&-]{1,3}[^\W_]{1,30}){0,5}"
_COLON = re.compile(
    rf"(?:(?<=\n)|^|(?<=[\t|;,•]))[ \t>*•-]{{0,12}}(?P<key>{_LABEL})[ \t]{{0,40}}(?:\.{{2,80}}[ :]{{0,3}}|[:：]|"
    rf"[ ]={{1,2}}[ ]|\t)[ \t]{{0,40}}(?P<value>[^\n]{{1,500}})"
)
_INLINE = re.compile(rf"(?<![\w.@/:-])(?P<key>{_LABEL})[ ]{{0,2}}[:：](?![/\d]{{2}})[ ]{{0,3}}")
_STACKED = re.compile(
    rf"(?:(?<=\n)|^)[ \t]{{0,12}}(?P<key>{_LABEL})[ \t]{{0,4}}[:：]?[ \t]{{0,4}}\n[ \t]{{0,12}}(?P<value>[^\n]{{2,200}})"
)
_VALUE_ENDS = re.compile(r"\t|[ ]{3,}|[|;•]|\s/\s|,[ ](?=[^\W\d_][\w ./'-]{1,30}[:=])|[ ](?=[^\W\d_][\w./'-]{1,24}[:=][ ])")
_LOOK = re.compile(r"[\w\"'.)] {0,40}[:：=\t|;,]|</|\.{3}|\n")


@dataclass(frozen=True, slots=True)
class Field:
    """Hold one field's value: its key, its place (half-open), the class that the key names, and whether it must be kept."""

    key: str
    start: int
    end: int
    pii_class: PiiClass | None
    keep: bool


def find_fields(text: str) -> tuple[Field, ...]:
    """Return the fields that their keys say something about, in order and without overlaps; () for prose."""
    if _LOOK.search(text) is None:
        return ()
    found: list[Field] = []
    for named, start, end in _list_pairs(text):
        key = _parent_of(text, start) or named if fold_key(named) in _BARE else named
        pii_class, keep = _read_key(key)
        if keep:
            fact = trim_fact(text, start, end, fold_key(key))
            if fact is not None:
                found.append(Field(key, *fact, None, keep=True))
        elif fold_key(key) in _PARTIES:
            found += _read_party(text, key, start, end, pii_class)
        elif pii_class is not None:
            span = trim_value(text, start, end, pii_class)
            if span is not None:
                found.append(Field(key, *span, pii_class, keep=False))
    return _without_overlaps(found)


def _parent_of(text: str, start: int) -> str | None:
    """Return what holds a bare `id` or `number`: {"customer": {"id": ...}}, <DbtrAcct><Id><Othr><Id>."""
    before = text[max(0, start - _PARENT_REACH) : start]
    held = _JSON_PARENT.search(before)
    if held is not None:
        return f"{held['key']}_number" if _is_party_or_class(held["key"]) else None
    tags = _OPEN_TAG.findall(before)
    for tag in reversed(tags):
        for ending, key in _XML_PARENTS.items():
            if tag.endswith(ending):
                return key
    return None


def _is_party_or_class(key: str) -> bool:
    return fold_key(key) in _PARTIES or _read_key(key)[0] in (
        PiiClass.ACCOUNT,
        PiiClass.CARD,
        PiiClass.PASSPORT,
        PiiClass.LICENSE,
    )


def _read_party(text: str, key: str, start: int, end: int, named: PiiClass | None) -> Iterator[Field]:
    """Read "customer=CIF123", "customer: Ann Lee", "from=2270324503": what stands there says what it is."""
    for pii_class in (named if named is not PiiClass.PERSON else None, PiiClass.ACCOUNT, PiiClass.PERSON):
        if (
            pii_class is None
            or (pii_class is PiiClass.PERSON and named is None)
            or (named is PiiClass.PERSON and pii_class is not named)
        ):
            continue
        span = trim_value(text, start, end, pii_class)
        if span is not None and (pii_class is PiiClass.PERSON or _is_number(text[span[0] : span[1]], pii_class)):
            yield Field(key, *span, pii_class, keep=False)
            return


def _is_number(value: str, pii_class: PiiClass) -> bool:
    digits = sum(map(str.isdigit, value))
    return digits >= (3 if pii_class is PiiClass.CUSTOMER_ID else 7) and not _DAY.fullmatch(value) and "." not in value


def class_of_key(key: str) -> PiiClass | None:
    """Return the class that a key names, None for any other key. The end of a longer key decides: `home_phone` is a phone."""
    return _read_key(key)[0]


def is_kept_key(key: str) -> bool:
    """Say whether the key names a fact that must survive: an amount, a status, a reference."""
    return _read_key(key)[1]


def _list_pairs(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield key, start and end of each value, the surest way of writing first."""
    if ":" in text or "=>" in text:
        yield from _json_pairs(text)
    if "</" in text or "/>" in text:
        yield from _xml_pairs(text)
    yield from find_cells(text, is_known=_is_known_key)
    if "=" in text:
        for match in _ASSIGNMENT.finditer(text):
            group = "value" if match["key"] else "argument"
            yield (match["key"] or match["query"]), *_unquoted(text, *match.span(group))
    yield from _form_pairs(text)


def _json_pairs(text: str) -> Iterator[tuple[str, int, int]]:
    containers = []
    for match in _JSON_PAIR.finditer(text):
        start, end = match.span("value")
        if text[start] in "[{":
            containers.append((match["key"], start))
        else:
            yield match["key"], *_unquoted(text, start, end)
    # What stands in a list has its key; what stands in an object of a name or an address and has no telling key of its own too.
    for key, start in containers:
        if text[start] == "{" and not fold_key(key).endswith(("name", "address", "adresse", "addr")):
            continue
        close = text.find("]" if text[start] == "[" else "}", start)
        for item in _ITEM.finditer(text, start + 1, close):
            following = text[item.end() : item.end() + 3].lstrip()
            if not following.startswith(":"):
                yield key, *_unquoted(text, *item.span())


def _xml_pairs(text: str) -> Iterator[tuple[str, int, int]]:
    for match in _XML_ELEMENT.finditer(text):
        yield match["key"], *match.span("value")
    for match in _XML_ATTRIBUTE.finditer(text):
        yield match["key"].rpartition(":")[2], *_unquoted(text, *match.span("value"))


def _form_pairs(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield what stands after "key:" at the beginning of a line, in the middle of one, and below a key of its own line."""
    for match in _COLON.finditer(text):
        if _is_known_key(match["key"]) and fold_key(match["key"]) not in _BARE:
            start, end = match.span("value")
            stop = _VALUE_ENDS.search(text, start, end)
            end = stop.start() if stop and stop.start() > start else end
            if not _is_known_key(text[start:end]):
                yield match["key"], start, end
    for match in _INLINE.finditer(text):
        key, start = match["key"], match.end()
        known = _known_end(key)
        if known is not None and start < len(text):
            line_end = text.find("\n", start)
            line_end = len(text) if line_end < 0 else line_end
            stop = _VALUE_ENDS.search(text, start, min(line_end, start + 500))
            yield known, start, stop.start() if stop and stop.start() > start else min(line_end, start + 500)
    for match in _STACKED.finditer(text):
        if _is_known_key(match["key"]) and _read_key(match["key"])[0] is not None:
            yield match["key"], *match.span("value")


def _known_end(key: str) -> str | None:
    """Return the longest end of a run of words that is a key by itself: "please note my phone" is "phone"."""
    words = key.split()
    for first in range(max(0, len(words) - 3), len(words)):
        part = " ".join(words[first:])
        if _is_whole_key(part):
            return part
    return None


def _is_known_key(key: str) -> bool:
    return _read_key(key) != (None, False) or fold_key(key) in _PARTIES


@lru_cache(maxsize=4096)
def _is_whole_key(key: str) -> bool:
    name = fold_key(key)
    return name not in _BARE and (name in _kept_keys() or name in named_classes() or name in _PARTIES)


@lru_cache(maxsize=4096)
def _read_key(key: str) -> tuple[PiiClass | None, bool]:
    """Return the class and whether it is kept: of the longest known end of the key, never both."""
    words = [word for word in fold_key(key).split("_") if word]
    while len(words) > 1 and words[-1].isdecimal():
        words.pop()
    if not words or len(words) > _MAX_KEY_WORDS:
        return None, False
    for first in range(len(words)):
        name = "_".join(words[first:])
        found = named_classes().get(name) or named_classes().get(name.removesuffix("s"))
        if name in _kept_keys() or found is PiiClass.OTHER:
            return None, True
        if found is None:
            continue
        if first and found is PiiClass.PERSON and _OTHERS_NAMES.intersection(words[:first]):
            return None, True
        if first and name in _WHOLE_ONLY and not (name == "name" and len(words) == 2):
            return None, False
        return found, False
    return None, False


@cache
def _kept_keys() -> frozenset[str]:
    return frozenset(fold_key(name) for name in load_words("field_kept"))


def _unquoted(text: str, start: int, end: int) -> tuple[int, int]:
    if text[start] == "\\" and end - start >= 4:
        return start + 2, end - 2
    if end - start >= 2 and text[start] in "\"'" and text[end - 1] == text[start]:
        return start + 1, end - 1
    return start, end


def _without_overlaps(found: list[Field]) -> tuple[Field, ...]:
    """Keep the fields found first where two overlap."""
    starts: list[int] = []
    kept: list[Field] = []
    for field in found:
        if field.end <= field.start:
            continue
        at = bisect_right(starts, field.start)
        if (at and kept[at - 1].end > field.start) or (at < len(kept) and kept[at].start < field.end):
            continue
        starts.insert(at, field.start)
        kept.insert(at, field)
    return tuple(kept)
