"""From a template and masked values to the exact messages for a model: static part first, then facts, then the untrusted text."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.canonical import digest_of
from masking.text import MaskedText
from masking.tokens import find_tokens
from prompts.errors import InvalidPromptValue
from prompts.library import PLACEHOLDER, PromptTemplate

PromptValue = MaskedText | list[MaskedText] | frozenset[str] | int
"""Masked text, lines of masked text, a set of handles, or a number. A plain string is refused: nothing proves it is masked."""

_HANDLE = re.compile(r"[A-Z]{1,2}[0-9]{1,4}")
_ANGLES = str.maketrans({"<": "‹", ">": "›", "\u2028": " ", "\u2029": " "})
_BRACKET_ROLES = re.compile(r"\[(/?)(INST|SYS|SYSTEM|USER|ASSISTANT|TOOL)\]", re.IGNORECASE)
_ROLE_AT_START = re.compile(r"^[\s|#*>\-]*(system|assistant|user|human|developer|tool|ai)\s*[:：]", re.IGNORECASE)
_MAX_VALUE_CHARACTERS = 4000

_SEAL = object()


@dataclass(frozen=True, slots=True)
class MaskedPrompt:
    """Hold a rendered prompt. Only `render_prompt` makes one, so no unmasked text can be inside.

    `cache_salt` keeps one tenant's prefix cache from answering another tenant's timing; `tenant_id` is for the guard alone.
    Raises: InvalidPromptValue when made by anyone else.
    """

    prompt_id: str
    prompt_sha256: str
    system: str
    user: str
    cache_salt: str
    tenant_id: str = field(repr=False, compare=False)
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise InvalidPromptValue("a MaskedPrompt comes from render_prompt only")

    @property
    def masked_prompt_sha256(self) -> str:
        """Return the digest of exactly what is sent, without the salt."""
        return digest_of({"system": self.system, "user": self.user})


def render_prompt(template: PromptTemplate, values: Mapping[str, PromptValue], *, tenant_id: str) -> MaskedPrompt:
    """Fill the user part. Every line of text is data: one `| ` before it, and no marker of a chat template survives.

    Raises: InvalidPromptValue for a missing or surplus name, or a value that is not masked.
    """
    if set(values) != set(template.placeholders):
        raise InvalidPromptValue(f"{template.prompt_id} takes exactly: {', '.join(template.placeholders)}")
    rendered = {name: _render_value(name, value) for name, value in values.items()}
    return MaskedPrompt(
        prompt_id=template.prompt_id,
        prompt_sha256=template.sha256,
        system=template.system,
        # One pass, so that a value that looks like a placeholder stays what it is.
        user=PLACEHOLDER.sub(lambda match: rendered[match[1]], template.user),
        cache_salt=hashlib.sha256(f"tellergate/{tenant_id}".encode()).hexdigest(),
        tenant_id=tenant_id,
        seal=_SEAL,
    )


def neutralize_text(text: str) -> str:
    """Take from untrusted text what a chat template or our own layout could read as structure; the vault's tokens stay.

    NFKC first, so that a full-width bracket is a bracket.
    """
    folded = unicodedata.normalize("NFKC", text)
    # Cf covers zero-width and direction marks, Cc the control characters, Cn what is unassigned; a line break stays.
    visible = "".join(c for c in folded if c == "\n" or unicodedata.category(c) not in {"Cc", "Cf", "Cn", "Co", "Cs"})
    parts: list[str] = []
    end = 0
    for match in find_tokens(visible):
        parts += [_disarm(visible[end : match.start]), match.token or _disarm(visible[match.start : match.end])]
        end = match.end
    return "".join([*parts, _disarm(visible[end:])])


def _disarm(text: str) -> str:
    return _BRACKET_ROLES.sub(r"(\1\2)", text.translate(_ANGLES))


def _render_value(name: str, value: PromptValue) -> str:
    if isinstance(value, bool):
        raise InvalidPromptValue(f"{name}: a prompt takes no booleans")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, MaskedText):
        return _quote_lines(value)
    if isinstance(value, frozenset):
        return _render_handles(name, value)
    if not isinstance(value, list) or not all(isinstance(line, MaskedText) for line in value):
        raise InvalidPromptValue(f"{name}: text in a prompt must be MaskedText")
    return "\n".join(map(_quote_lines, value)) or "| (none)"


def _render_handles(name: str, handles: frozenset[str]) -> str:
    for handle in handles:
        if not _HANDLE.fullmatch(handle):
            raise InvalidPromptValue(f"{name}: not a handle")
    return ", ".join(sorted(handles, key=lambda handle: (handle.rstrip("0123456789"), len(handle), handle))) or "none"


def _quote_lines(text: MaskedText) -> str:
    lines = neutralize_text(text.text)[:_MAX_VALUE_CHARACTERS].split("\n")
    return "\n".join("| " + _ROLE_AT_START.sub(r"(\1)", line) for line in lines if line.strip()) or "| (empty)"
