"""Names in scripts other than Latin: by list, by form of address, by ending, or alone in a text of Latin letters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from masking.gazetteer import is_listed_name
from masking.word_lists import load_words

ANNOUNCED_SCORE = 0.79
_LISTED_SCORE = 0.75
_LATIN_SHARE_PERCENT = 70

_OTHER_SCRIPT = re.compile(
    r"[\u0370-\u03ff\u0400-\u052f\u0530-\u058f\u0590-\u05ff\u0600-\u06ff\u0750-\u077f\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f\u10a0-\u10ff"
    r"\u1100-\u11ff\u1200-\u137f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
_MAX_CHINESE = 4
_ASIAN_SURNAMES = load_words("asian_surnames")
_ASIAN_TITLE = re.compile(
    r"\s?(?:先生|女士|小姐|太太|さん|様|氏|くん|ちゃん|と申し|と言い|といいます|씨|님|입니다|이라고|라고|이에요|예요)"
)
_ASIAN_PAIR = re.compile(
    r"(?P<family>[\u3400-\u9fff]{1,3}|[\uac00-\ud7af]{1,2})[ \u3000]"
    r"(?P<given>[\u3400-\u9fff]{1,3}|[\u3040-\u30ff]{2,5}|[\uac00-\ud7af]{2})"
)
_ASIAN_SAID = re.compile(
    r"(?:我叫|我是|姓名|户名|收款人|名前は|名は|私は|이름은|저는)[:：\s]?(?P<v>[\u3400-\u9fff]{2,4}|[\uac00-\ud7af]{3})"
)
_SLAVIC = re.compile(
    r"(?:ович|евич|ич|овна|евна|ична|ов|ова|ев|ева|ёв|ёва|ин|ина|ский|ская|цкий|цкая|енко|чук|юк|ук|як|дзе|швили|ян)$"
)


def find_script_names(text: str) -> Iterator[tuple[int, int, float]]:
    """Yield start, end and score of what is taken for a name."""
    runs = list(_list_script_runs(text))
    letters = sum(map(str.isalpha, text))
    other = sum(1 for start, end in runs for character in text[start:end] if character.isalpha())
    is_foreign = letters > 0 and 100 * (letters - other) >= _LATIN_SHARE_PERCENT * letters
    for start, end in runs:
        words = text[start:end].split()
        # Someone's name in his own script in a text of ours: nothing else is written so.
        if is_foreign and 1 <= len(words) <= 4 and end - start > 1:
            yield start, end, ANNOUNCED_SCORE
            continue
        yield from _find_asian(text, start, end)
        place = start
        for left, right in pairwise(words):
            at = text.find(left, place)
            place = at + len(left)
            if _is_slavic_pair(left, right):
                yield at, text.find(right, place) + len(right), _LISTED_SCORE


def _list_script_runs(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places where words of other scripts stand side by side."""
    start = end = -1
    for match in _OTHER_SCRIPT.finditer(text):
        if start >= 0 and text[end : match.start()] not in {" ", "-", "·", "・", "'", "’"}:
            yield start, end
            start = -1
        if start < 0:
            start = match.start()
        end = match.end()
    if start >= 0:
        yield start, end


def _is_slavic_pair(left: str, right: str) -> bool:
    if not (left[0].isupper() and right[0].isupper()):
        return False
    return any(_SLAVIC.search(word) and len(word) > 4 for word in (left, right)) and any(
        is_listed_name(word) for word in (left, right)
    )


def _find_asian(text: str, start: int, end: int) -> Iterator[tuple[int, int, float]]:
    """Yield Chinese, Japanese and Korean names before a form of address, or standing between marks."""
    for match in _ASIAN_PAIR.finditer(text, start, end):
        family = match["family"]
        if family in _ASIAN_SURNAMES or is_listed_name(family):
            yield match.start(), match.end(), ANNOUNCED_SCORE
    for match in _ASIAN_SAID.finditer(text, start, end):
        if _is_asian_name(match["v"]):
            yield *match.span("v"), ANNOUNCED_SCORE
    for match in re.finditer(r"[\u3400-\u9fff]{2,8}|[\uac00-\ud7af]{2,6}", text[start:end]):
        at = start + match.start()
        for length in (4, 3, 2, 5):
            name = text[at : at + length]
            if len(name) == length and _ASIAN_TITLE.match(text, at + length) and _is_asian_name(name):
                yield at, at + length, ANNOUNCED_SCORE
                break
        else:
            alone = (
                len(match[0]) in {2, 3, 4}
                and (at == 0 or not text[at - 1].isalnum())
                and not text[at + len(match[0]) : at + len(match[0]) + 1].isalnum()
            )
            if alone and _is_asian_name(match[0]):
                yield at, at + len(match[0]), _LISTED_SCORE


def _is_asian_name(name: str) -> bool:
    """Say whether it begins with a surname: of one character, or of two or three in Japan."""
    if len(name) <= _MAX_CHINESE and name[0] in _ASIAN_SURNAMES:
        return True
    return name[:2] in _ASIAN_SURNAMES or name[:3] in _ASIAN_SURNAMES or is_listed_name(name)
