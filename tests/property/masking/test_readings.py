"""Whatever stands in a text: a reading leads back into it, in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from masking.readings import read_again

_PIECES = st.sampled_from(
    [
        "four",
        "one",
        "double",
        "4111",
        "O0l",
        "1\n1",
        "４",
        "\u200b",
        "️⃣",
        "🔥",
        "M as in Mike",
        "A-B-C",
        " at ",
        " dot ",
        "com",
        "Аn",
        "\u00ad",
        "ẞ",
        "İ",
        "…",
        "-\n",
    ]
)
_TEXTS = st.lists(_PIECES | st.text(max_size=3), max_size=25).map(" ".join) | st.lists(_PIECES, max_size=25).map("".join)


@given(_TEXTS)
def test_every_character_of_a_reading_has_its_place(text: str) -> None:
    for reading in read_again(text):
        assert len(reading.text) == len(reading.starts) == len(reading.ends)
        assert all(0 <= start < end <= len(text) for start, end in zip(reading.starts, reading.ends, strict=True))
        assert list(reading.starts) == sorted(reading.starts)


@given(_TEXTS)
def test_places_to_look_at_again_are_places_of_the_reading(text: str) -> None:
    for reading in read_again(text):
        before = 0
        for start, end in reading.list_changes(text, margin=5):
            assert 0 <= start < end <= len(reading.text)
            assert before <= end
            before = end
