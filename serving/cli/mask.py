"""`mask` and `unmask`: text in, masked text out, and back. Pure: no service, no database; a local key and what it sealed."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TypeVar

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import InvalidInput, TellergateError
from serving.cli.json_lines import read_document, read_lines, write_document
from serving.cli.local_vault import LocalVault, make_local_vault, open_local_vault
from serving.cli.output import fail
from serving.settings import read_settings

if TYPE_CHECKING:
    from serving.cli.local_masker import LocallyMasked, LocalMasker

_WRONG_INPUT = 2
_FOLDER = "mask"
_PURPOSE = re.compile(r"[a-z][a-z0-9_-]{0,39}")
Shape = TypeVar("Shape", bound=BaseModel)
TextId = str | int | float | bool | None


class InvalidLine(InvalidInput):
    """Say that a line is JSON, but not of the shape that the command reads."""

    code = "invalid_line"


class KnownIn(BaseModel):
    """Hold one value that the record of the text's customer holds. `class` in any spelling; an unknown one is OTHER."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    pii_class: str | None = Field(default=None, alias="class")
    value: str | int | float | None = None


class MaskIn(BaseModel):
    """Hold one text to be masked."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: TextId = None
    text: str
    known: list[KnownIn] | None = None


class SpanOut(BaseModel):
    """Say where a value stood: characters of the text that was given, half-open."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    start: int
    end: int
    pii_class: str = Field(alias="class")
    source: str


class MaskOut(BaseModel):
    """Hold one masked text."""

    model_config = ConfigDict(frozen=True)

    id: TextId
    masked: str
    spans: list[SpanOut]


class UnmaskIn(BaseModel):
    """Hold one masked text that is to be given back."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: TextId = None
    masked: str


Jsonl = Annotated[bool, typer.Option("--jsonl", help="One JSON object a line in, one a line out, at once.")]


def mask(
    as_jsonl: Jsonl = False,
    processes: Annotated[int, typer.Option("--processes", min=1, max=64, help="So many texts at a time; with --jsonl.")] = 1,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Keep nothing: no unmask, other tokens each time.")] = False,
) -> None:
    """Mask what stands on standard input: text, or with --jsonl {"id", "text", "known": [{"class", "value"}]}."""
    try:
        settings = read_settings()
        vault = None if ephemeral else make_local_vault(settings.var_dir / _FOLDER)
        token_key = secrets.token_bytes(32) if vault is None else vault.keys.token
        if as_jsonl and processes > 1:
            from serving.cli.mask_workers import mask_in_processes

            run = mask_in_processes(settings.models_dir, token_key, processes)
        else:
            from serving.cli.local_masker import load_local_masker

            run = _InOrder(load_local_masker(settings.models_dir, token_key))
    except TellergateError as error:
        _stop(error)
    try:
        if as_jsonl:
            sys.exit(mask_lines(sys.stdin.buffer, sys.stdout.buffer, run, vault))
        _mask_text(run, vault)
    except TellergateError as error:
        _stop(error)
    except BrokenPipeError:
        _let_go()


def unmask(
    as_jsonl: Jsonl = False,
    purpose: Annotated[str, typer.Option("--purpose", help="Why: one word for the record of reveals.")] = "cli",
) -> None:
    """Give back what `mask` masked on this machine: masked text, or with --jsonl {"id", "masked"}. Each text is on the record."""
    try:
        if not _PURPOSE.fullmatch(purpose):
            raise InvalidInput("--purpose takes one word of lower-case letters, digits, - and _", code="invalid_purpose")
        vault = open_local_vault(read_settings().var_dir / _FOLDER)
        vault.require_whole_record()
        if as_jsonl:
            sys.exit(unmask_lines(sys.stdin.buffer, sys.stdout.buffer, vault, purpose=purpose))
        masked = _decode(sys.stdin.buffer.read())
        sys.stdout.buffer.write(_restore(vault, masked, "", purpose=purpose).encode("utf-8"))
    except TellergateError as error:
        _stop(error)
    except BrokenPipeError:
        _let_go()


class _InOrder:
    """Mask in this process, one text after the other."""

    def __init__(self, masker: LocalMasker) -> None:
        self._masker = masker

    def __call__(self, requests: Any) -> Any:
        for key, request in requests:
            yield key, self._try(request)

    def _try(self, request: Any) -> Any:
        if isinstance(request, TellergateError):
            return request
        try:
            return self._masker.mask(*request)
        except TellergateError as error:
            return error


def mask_lines(lines: BinaryIO, out: BinaryIO, run: Callable[[Any], Any], vault: LocalVault | None) -> int:
    """Answer each line that is not blank, in order. Returns the exit code: 2 when any could not be masked."""
    code = 0
    for (number, text_id), result in run(_read_requests(lines)):
        if isinstance(result, TellergateError):
            code = _WRONG_INPUT
            write_document(out, _error(result, number, text_id))
            continue
        if vault is not None:
            vault.keep(result.masked, result.surfaces, text_id=repr(_id_of(text_id)))
        write_document(out, _answer(result, _id_of(text_id)))
    return code


def unmask_lines(lines: BinaryIO, out: BinaryIO, vault: LocalVault, *, purpose: str) -> int:
    """Answer each line that is not blank, in order. Returns the exit code: 2 when any could not be read."""
    code = 0
    for number, line in read_lines(lines):
        text_id: tuple[TextId, ...] = ()
        try:
            document = read_document(line)
            text_id = _peek_id(document)
            request = _parse(UnmaskIn, document)
            text = _restore(vault, request.masked, repr(request.id), purpose=purpose)
            write_document(out, {"id": request.id, "text": text})
        except TellergateError as error:
            code = _WRONG_INPUT
            write_document(out, _error(error, number, text_id))
    return code


def _read_requests(lines: BinaryIO) -> Any:
    """Yield (line number, id where it could be read) and what to mask, or the error in its place."""
    for number, line in read_lines(lines):
        text_id: tuple[TextId, ...] = ()
        try:
            document = read_document(line)
            text_id = _peek_id(document)
            request = _parse(MaskIn, document)
            known = [(one.pii_class or "", str(one.value)) for one in request.known or () if one.value is not None]
            yield (number, (request.id,)), (request.text, known)
        except TellergateError as error:
            yield (number, text_id), error


def _peek_id(document: dict[str, Any]) -> tuple[TextId, ...]:
    text_id = document.get("id")
    return (text_id,) if "id" in document and isinstance(text_id, TextId) else ()


def _id_of(text_id: tuple[TextId, ...]) -> TextId:
    return text_id[0] if text_id else None


def _parse(shape: type[Shape], document: dict[str, Any]) -> Shape:
    """Read a document. The error names the place and never the value. Raises: InvalidLine, NotText."""
    try:
        return shape.model_validate(document)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "string_unicode":
            raise InvalidInput(f"{place}: half a character (lone surrogate)", code="not_text") from None
        raise InvalidLine(f"{place}: {fault['msg']}") from None


def _answer(result: LocallyMasked, text_id: TextId) -> dict[str, Any]:
    spans = [
        {"start": one.start, "end": one.end, "class": one.pii_class.value, "source": one.source} for one in result.detections
    ]
    return {"id": text_id, "masked": result.masked, "spans": spans}


def _error(error: TellergateError, number: int, text_id: tuple[TextId, ...]) -> dict[str, Any]:
    named = {"id": text_id[0]} if text_id else {}
    return named | {"error": {"code": error.code, "detail": error.message, "line": number}}


def _mask_text(run: Callable[[Any], Any], vault: LocalVault | None) -> None:
    text = _decode(sys.stdin.buffer.read())
    ((_, result),) = run([((1, ()), (text, ()))])
    if isinstance(result, TellergateError):
        raise result
    if vault is not None:
        vault.keep(result.masked, result.surfaces, text_id="")
    sys.stdout.buffer.write(result.masked.encode("utf-8"))


def _restore(vault: LocalVault, masked: str, text_id: str, *, purpose: str) -> str:
    text, tokens = vault.restore(masked, text_id=text_id)
    if tokens:
        vault.note_reveal(tokens, actor=pwd.getpwuid(os.getuid()).pw_name, purpose=purpose, now=datetime.now(UTC))
    return text


def _decode(content: bytes) -> str:
    from masking.input_text import NotText

    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotText(f"not UTF-8 at byte {error.start}") from None


def _stop(error: TellergateError) -> None:
    fail(error, as_json=False)


def _let_go() -> None:
    """Whoever read the answers has enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
