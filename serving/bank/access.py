"""How this installation reaches its bank, as its settings say; without any, through files, and nothing leaves the machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.errors import SetupError
from serving.bank.callback import decode_secret

if TYPE_CHECKING:
    from serving.bank.file_bank import FileBank
    from serving.bank.http_bank import HttpBank

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class BankAccess(BaseModel):
    """Hold what the operator of the machine set. No `base_url`: instructions are laid out as files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str | None = None
    token: str | None = Field(default=None, repr=False)
    ca_file: Path | None = None
    callback_secret: str | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _whole(self) -> BankAccess:
        if self.base_url is not None:
            parts = urlsplit(self.base_url)
            if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
                raise ValueError("TELLERGATE_BANK_URL must be https://… (http:// only to this machine itself)")
            if not parts.hostname or parts.username or parts.query or parts.fragment:
                raise ValueError("TELLERGATE_BANK_URL must be a bare base URL: a host, a path, nothing else")
            if not self.token or not (self.token.isascii() and self.token.isprintable()):
                raise ValueError("TELLERGATE_BANK_URL needs TELLERGATE_BANK_TOKEN: printable ASCII")
        elif self.token is not None or self.ca_file is not None:
            raise ValueError("TELLERGATE_BANK_TOKEN and TELLERGATE_BANK_CA_FILE have a use with TELLERGATE_BANK_URL only")
        if self.callback_secret is not None:
            decode_secret(self.callback_secret)
        return self

    @property
    def adapter(self) -> Literal["http", "file"]:
        """Return which adapter these settings mean."""
        return "file" if self.base_url is None else "http"


def open_bank(access: BankAccess, *, folder: Path) -> HttpBank | FileBank:
    """Make the adapter that the settings mean; it connects to nothing before its first use. Raises: SetupError."""
    # Settings are read by every command: only who opens the bank pays for its adapters.
    from serving.bank.file_bank import FileBank
    from serving.bank.http_bank import HttpBank

    if access.base_url is None:
        return FileBank(folder)
    try:
        return HttpBank(base_url=access.base_url, token=access.token or "", ca_file=access.ca_file)
    except SetupError as error:
        raise SetupError(f"TELLERGATE_BANK_CA_FILE: {error.message}", code=error.code) from error
