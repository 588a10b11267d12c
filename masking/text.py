"""Text that went through the boundary. Prompts, embeddings and checkpoints are made of this type and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, final

from domain.errors import BrokenInvariant, InvalidInput
from masking.tokens import find_tokens

_SEAL: Final = object()
_SEPARATOR = re.compile(r"[\W_]{0,8}")


class NotMasked(InvalidInput):
    """Say that somebody tried to call a text masked without masking it."""

    code = "not_masked"


class DamagedToken(BrokenInvariant):
    """Say that a text that should be masked holds something in the shape of a token that no vault made."""

    code = "damaged_token"


@final
class MaskedText:
    """Hold masked text. Built by `masking` alone: by masking a message, by reading a masked column, or by joining.

    `tokens` are those in the text, in order.
    """

    __slots__ = ("_text", "_tokens")
    _text: str
    _tokens: tuple[str, ...]

    def __init__(self, text: str, tokens: tuple[str, ...], *, seal: object) -> None:
        if seal is not _SEAL:
            raise NotMasked("a MaskedText comes from masking.masker or masking.text.masked_from_store")
        object.__setattr__(self, "_text", text)
        object.__setattr__(self, "_tokens", tokens)

    @property
    def text(self) -> str:
        """Return the masked text."""
        return self._text

    @property
    def tokens(self) -> tuple[str, ...]:
        """Return the tokens in the text, in order."""
        return self._tokens

    @staticmethod
    def join(parts: Iterable[MaskedText], *, separator: str = " ") -> MaskedText:
        """Join masked texts. The separator is spaces and punctuation only, so it can carry no value.

        Raises: NotMasked.
        """
        texts = list(parts)
        if not _SEPARATOR.fullmatch(separator):
            raise NotMasked("a separator is at most 8 spaces or punctuation marks")
        if not all(isinstance(part, MaskedText) for part in texts):
            raise NotMasked("only masked texts join to a masked text")
        return masked_from_store(separator.join(part.text for part in texts))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a MaskedText does not change: {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a MaskedText does not change: {name}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MaskedText) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __len__(self) -> int:
        return len(self._text)

    def __repr__(self) -> str:
        return f"MaskedText({self._text!r})"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return masked_from_store, (self._text,)


def masked_from_store(text: str) -> MaskedText:
    """Read back what masking wrote: a masked column, a view of the AI role, an article of the knowledge base.

    Only for such text: it checks that each token is one that a vault can have made, and detects nothing. Raises: DamagedToken.
    """
    return _seal_masked(text)


def _seal_masked(text: str) -> MaskedText:
    tokens: list[str] = []
    for match in find_tokens(text):
        if match.token is None or match.token != text[match.start : match.end]:
            raise DamagedToken(f"damaged token at characters {match.start} to {match.end} of a text of {len(text)}")
        tokens.append(match.token)
    return MaskedText(text, tuple(tokens), seal=_SEAL)
