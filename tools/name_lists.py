"""Make the lists given_names, surnames and everyday in masking/words from Faker's providers and tools/assets/more_names.txt.

Run `python -m tools.name_lists` after an update of Faker. Everyday words are left out: those of Faker's own lorem lists and those
that the installed packages' English documentation writes in lower case.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faker.providers.lorem
import faker.providers.person

from masking.folding import fold_word
from masking.word_lists import load_words

_ROOT = Path(__file__).parents[1]
_WORDS = _ROOT / "masking" / "words"
_MORE = Path(__file__).parent / "assets" / "more_names.txt"
_LETTERS = re.compile(r"[^\W\d_]+")
_LOWER_WORD = re.compile(r"(?<![\w.\"'`/-])[a-z]{3,}(?![\w.\"'`/(=-])")
_TOO_OFTEN = 12
_ENGLISH = (
    "spacy/**/*.py",
    "nltk/**/*.py",
    "numpy/**/*.py",
    "mypy/**/*.py",
    "sqlalchemy/**/*.py",
    "*/METADATA",
    "pandas/**/*.py",
)
_LIMIT = 40_000
_ALSO_NAMES = frozenset({"april", "august", "juli", "june", "jun", "mac", "mai", "ola", "sun", "sunday", "thu", "xin", "ramadan"})
_NO_NAMES = load_words("not_names") - _ALSO_NAMES
_EVERYDAY_HEAD = (
    "# Everyday words of many languages, folded: in small letters they are nobody's name. Made by tools/name_lists.py\n"
    "# from Faker's lorem providers (https://github.com/joke2k/faker, MIT) and the documentation of installed packages.\n"
)
_GIVEN, _FAMILY = ("first_name", "middle_name"), ("last_name", "surname")
_CODE_LOCALES = frozenset({"ja_JP", "zh_CN", "zh_TW", "ko_KR"})


def main() -> int:
    """Write both files."""
    english, everyday = _list_english_words(), _list_everyday_words()
    given, family = set(_read_more("given")), set(_read_more("family"))
    listed_by_hand = given | family
    for locale in _list_locales(faker.providers.person):
        module = importlib.import_module(f"faker.providers.person.{locale}")
        given |= set(_names_of(module.Provider, _GIVEN, romanized_only=locale in _CODE_LOCALES))
        family |= set(_names_of(module.Provider, _FAMILY, romanized_only=locale in _CODE_LOCALES))
    for name, words in (("given_names", given), ("surnames", family)):
        bare = {word for word in words if len(word) >= 3 and word not in everyday} | (words & listed_by_hand)
        kept = sorted(word for word in bare - english - _NO_NAMES if len(word) >= 2)
        if len(kept) > _LIMIT:
            raise SystemExit(f"{name}: {len(kept)} words are more than the {_LIMIT} that a start should read")
        _write(name, kept)
        print(f"{name}: {len(kept)} words")
    listed = given | family
    _write("everyday", sorted(english | {word for word in everyday if word.isascii() and word not in listed}))
    return 0


def _write(name: str, words: list[str]) -> None:
    head = (
        _EVERYDAY_HEAD
        if name == "everyday"
        else (
            f"# {name.replace('_', ' ').capitalize()} of many cultures, folded, without everyday words.\n"
            "# Made by tools/name_lists.py from tools/assets/more_names.txt and Faker's person providers\n"
            "# (https://github.com/joke2k/faker, MIT licence, (c) Daniele Faraglia).\n"
        )
    )
    lines, line = [], ""
    for word in words:
        if len(line) + len(word) + 1 > 128:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    (_WORDS / f"{name}.txt").write_text(head + "\n".join([*lines, line]) + "\n", encoding="utf-8")


def _list_locales(package: Any) -> Iterator[str]:
    for module in pkgutil.iter_modules(package.__path__):
        yield module.name


def _names_of(provider: type, kinds: tuple[str, ...], *, romanized_only: bool) -> Iterator[str]:
    for attribute in dir(provider):
        if not any(kind in attribute for kind in kinds) or (romanized_only and "romanized" not in attribute):
            continue
        yield from _words_in(getattr(provider, attribute))


def _words_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if "{{" not in value:
            yield from (fold_word(word) for word in _LETTERS.findall(value))
    elif isinstance(value, dict | tuple | list | set | frozenset):
        for entry in value:
            yield from _words_in(entry)


def _read_more(kind: str) -> Iterator[str]:
    chosen = ""
    for line in _MORE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            chosen = line.strip("[] ")
        elif line and not line.startswith("#") and chosen == kind:
            yield from (fold_word(word) for word in line.split())


def _list_everyday_words() -> frozenset[str]:
    """Return the words of Faker's lorem lists; English and Latin ones hold names."""
    words: set[str] = set()
    for locale in _list_locales(faker.providers.lorem):
        if locale not in {"la", "en"}:
            provider = importlib.import_module(f"faker.providers.lorem.{locale}").Provider
            words |= {fold_word(word) for word in getattr(provider, "word_list", ())}
    return frozenset(words)


def _list_english_words() -> frozenset[str]:
    """Return what the documentation of installed packages writes in small letters again and again, and Faker's English words."""
    lorem = importlib.import_module("faker.providers.lorem.en_US").Provider.word_list
    counts: Counter[str] = Counter({word: _TOO_OFTEN for word in lorem if word.islower()})
    site = Path(faker.__file__).parents[1]
    for pattern in _ENGLISH:
        for path in sorted(site.glob(pattern)):
            counts.update(_LOWER_WORD.findall(path.read_text(encoding="utf-8", errors="ignore")))
    return frozenset(word for word, count in counts.items() if count >= _TOO_OFTEN) | frozenset(
        ["do", "can", "he", "we", "an", "so", "my", "no", "ho", "hi", "me"]
    )


if __name__ == "__main__":
    sys.exit(main())
