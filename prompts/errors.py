"""What can be wrong with a prompt file or a rendering."""

from __future__ import annotations

from domain.errors import BrokenInvariant, InvalidInput


class BrokenPromptFile(BrokenInvariant):
    """Say that a prompt file is malformed, or is not the one that the manifest names."""

    code = "broken_prompt_file"


class InvalidPromptValue(InvalidInput):
    """Say that a value may not stand in a prompt: not masked, not a handle, not a number."""

    code = "invalid_prompt_value"
