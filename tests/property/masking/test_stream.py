"""A text restored in chunks equals the text restored whole, whatever the chunks; little is held back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from masking.classes import PiiClass
from masking.restoring import StreamRestorer
from masking.tokens import UNKNOWN_REFERENCE, find_tokens, mint_token

KEY = b"k" * 32
NAMES = {mint_token(KEY, pii_class=pii_class, canonical=name): name for pii_class in PiiClass for name in ("Marta", "Ben <x>")}


def _resolve(tokens: Sequence[str]) -> Mapping[str, str]:
    return {token: NAMES[token] for token in tokens if token in NAMES}


def _whole(text: str) -> str:
    parts, end = [], 0
    for match in find_tokens(text):
        parts += [text[end : match.start], NAMES.get(match.token or "", UNKNOWN_REFERENCE)]
        end = match.end
    return "".join([*parts, text[end:]])


pieces = st.one_of(
    st.text(max_size=12),
    st.sampled_from(sorted(NAMES)),
    st.sampled_from(sorted(NAMES)).map(str.lower),
    st.sampled_from(sorted(NAMES)).flatmap(lambda token: st.integers(1, len(token)).map(lambda cut: token[:cut])),
    st.sampled_from(["<", ">", "‹", "<<", "<PERSON_", "_", "-q4>", "<PERSON_00000000-zz>"]),
)


@given(st.lists(pieces, max_size=12).map("".join), st.lists(st.integers(1, 40), max_size=60))
def test_chunks_equal_whole(text: str, sizes: list[int]) -> None:
    restorer = StreamRestorer(_resolve)
    out, start = "", 0
    for size in [*sizes, len(text) + 1]:
        out += restorer.feed(text[start : start + size])
        assert len(restorer.held_back) < 32
        start += size
    assert out + restorer.finish() == _whole(text)


@given(st.text(max_size=200))
def test_text_without_tokens_is_untouched(text: str) -> None:
    if not list(find_tokens(text)):
        restorer = StreamRestorer(_resolve)
        assert restorer.feed(text) + restorer.finish() == text


@given(st.sampled_from(sorted(NAMES)), st.text(max_size=5), st.text(max_size=5))
def test_a_token_cut_at_any_character_is_whole_again(token: str, before: str, after: str) -> None:
    text = f"{before}{token}{after}"
    whole = _whole(text)
    for cut in range(len(text) + 1):
        restorer = StreamRestorer(_resolve)
        assert restorer.feed(text[:cut]) + restorer.feed(text[cut:]) + restorer.finish() == whole


@given(st.sampled_from(sorted(NAMES)), st.integers(0, 40), st.sampled_from("0123456789abcdefghjkmnpqrstvwxyz"))
def test_a_damaged_token_restores_no_value(token: str, place: int, other: str) -> None:
    place %= len(token)
    damaged = token[:place] + other + token[place + 1 :]
    restorer = StreamRestorer(_resolve)
    out = restorer.feed(damaged) + restorer.finish()
    if damaged.lower() != token.lower():
        assert NAMES[token] not in out


@given(st.lists(st.sampled_from(["<PERSON_", ">", "<", *sorted(NAMES)[:4]]), max_size=10).map("".join))
def test_nested_tokens_restore_what_is_whole_and_nothing_twice(text: str) -> None:
    asked: list[str] = []

    def resolve(tokens: Sequence[str]) -> Mapping[str, str]:
        asked.extend(tokens)
        return _resolve(tokens)

    restorer = StreamRestorer(resolve)
    out = "".join(restorer.feed(character) for character in text) + restorer.finish()
    assert out == _whole(text)
    assert len(asked) == len(set(asked))
