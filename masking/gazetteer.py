"""Lists of given names and surnames of many cultures: is this word somebody's name? Says nothing of who is meant."""

from __future__ import annotations

from functools import cache

from masking.folding import fold_word
from masking.word_lists import load_words


def is_given_name(word: str) -> bool:
    """Say whether a word is a listed given name, in any spelling of its accents."""
    return fold_word(word) in _given_names()


def is_surname(word: str) -> bool:
    """Say whether a word is a listed surname."""
    return fold_word(word) in _surnames()


def is_listed_name(word: str) -> bool:
    """Say whether a word is in either list."""
    folded = fold_word(word)
    return folded in _given_names() or folded in _surnames()


def is_place(word: str) -> bool:
    """Say whether a word is a listed country, region or city, or what people from there are called."""
    return word.casefold() in _places()


def is_everyday(word: str) -> bool:
    """Say whether a word is an everyday word of some language, in any spelling of its accents."""
    return fold_word(word) in _everyday_words()


def is_small_talk(word: str) -> bool:
    """Say whether a word in small letters is an everyday word, and none of those that stand inside names."""
    return word.islower() and is_everyday(word) and word not in _particles()


@cache
def _particles() -> frozenset[str]:
    return load_words("name_particles")


@cache
def _everyday_words() -> frozenset[str]:
    return load_words("everyday")


@cache
def _places() -> frozenset[str]:
    return load_words("places")


@cache
def _given_names() -> frozenset[str]:
    return load_words("given_names")


@cache
def _surnames() -> frozenset[str]:
    return load_words("surnames")
