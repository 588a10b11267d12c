"""Restore a text that comes in chunks. What a token stands for is asked elsewhere, once for each token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from masking.tokens import UNKNOWN_REFERENCE, find_open_tail, find_tokens


class StreamRestorer:
    """Restore a text that comes in chunks: holds back fewer than 32 characters, and only what could still be a token."""

    def __init__(self, resolve: Callable[[Sequence[str]], Mapping[str, str]]) -> None:
        self._resolve = resolve
        self._known: dict[str, str] = {}
        self._held = ""

    def feed(self, chunk: str) -> str:
        """Return what is certain so far."""
        text = self._held + chunk
        cut = find_open_tail(text)
        self._held = text[cut:]
        return self._restore(text[:cut])

    def finish(self) -> str:
        """Return the rest."""
        rest, self._held = self._held, ""
        return self._restore(rest)

    @property
    def held_back(self) -> str:
        """Return what waits for more."""
        return self._held

    def _restore(self, text: str) -> str:
        matches = list(find_tokens(text))
        if not matches:
            return text
        new = [token for token in dict.fromkeys(match.token for match in matches) if token and token not in self._known]
        if new:
            found = self._resolve(new)
            self._known |= {token: found.get(token, UNKNOWN_REFERENCE) for token in new}
        parts: list[str] = []
        end = 0
        for match in matches:
            parts.append(text[end : match.start])
            parts.append(self._known[match.token] if match.token else UNKNOWN_REFERENCE)
            end = match.end
        return "".join([*parts, text[end:]])
