"""`decide`: documents on standard input, decisions on standard output. Pure: no service, no database, no clock."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from domain.decision import Decision
from domain.errors import InvalidInput, TellergateError
from domain.proposal import ActionKind
from gates.examples import example_document
from gates.policy.bundle import PolicyBundle, load_bundle_directory
from gates.pure import decide_document
from gates.reasons import SENTENCES
from gates.score.scorecard import Scorecard, load_scorecard
from serving.cli.json_lines import MAX_LINE_BYTES, read_document
from serving.cli.output import fail, print_json, print_line

STARTER = Path(__file__).resolve().parents[2] / "gates" / "bundles" / "starter"
_WRONG_INPUT = 2


def decide(
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One document a line in, one decision a line out.")] = False,
    policy: Annotated[Path, typer.Option("--policy", help="The folder of the bundle to decide under.")] = STARTER,
    example: Annotated[str | None, typer.Option("--example", help="Print a document of this kind of act and end.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision as one JSON object.")] = False,
) -> None:
    """Decide what stands on standard input: {"proposal", "facts", "context", "policy"?, "now"?}. See docs/facts.md."""
    if example is not None:
        _print_example(example, as_json=as_json)
        return
    try:
        bundle, scorecard = load_bundle_directory(policy), load_scorecard()
    except TellergateError as error:
        fail(error, as_json=as_json or as_jsonl)
    try:
        if as_jsonl:
            sys.exit(_decide_lines(sys.stdin.buffer, bundle, scorecard))
        _decide_one(sys.stdin.buffer, bundle, scorecard, as_json=as_json)
    except BrokenPipeError:
        # Whoever read the answers has enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def answer_lines(lines: Iterable[bytes], bundle: PolicyBundle, scorecard: Scorecard) -> Iterator[dict[str, Any]]:
    """Yield one answer for each line that is not blank, in order: a decision, or `{"error": {"code", "detail", "line"}}`."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield decide_document(read_document(line), bundle=bundle, scorecard=scorecard).model_dump(mode="json")
        except TellergateError as error:
            yield {"error": {"code": error.code, "detail": error.message, "line": number}}


def _decide_lines(stream: BinaryIO, bundle: PolicyBundle, scorecard: Scorecard) -> int:
    """Answer each line at once. Returns the exit code: 2 when any line could not be read."""
    code = 0
    for answer in answer_lines(stream, bundle, scorecard):
        code = _WRONG_INPUT if "error" in answer else code
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    return code


def _decide_one(stream: BinaryIO, bundle: PolicyBundle, scorecard: Scorecard, *, as_json: bool) -> None:
    try:
        decision = decide_document(read_document(stream.read(MAX_LINE_BYTES + 1)), bundle=bundle, scorecard=scorecard)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(decision.model_dump(mode="json"))
        return
    _print_decision(decision)


def _print_decision(decision: Decision) -> None:
    print_line(f"{decision.outcome.value}  {decision.action.kind.value}  under {decision.policy_version}")
    for reason in decision.reasons:
        print_line(f"  {reason.outcome.value:6} {reason.code}: {SENTENCES.get(reason.code, 'a rule of this bundle')}")
    for origin in decision.origins:
        print_line(f"  {origin.argument} from {origin.origin.value}{f' by {origin.derivation}' if origin.derivation else ''}")


def _print_example(kind: str, *, as_json: bool) -> None:
    if kind not in set(ActionKind):
        fail(InvalidInput(f"--example takes one of {', '.join(sorted(ActionKind))}", code="invalid_kind"), as_json=as_json)
    document = example_document(ActionKind(kind))
    if as_json:
        print_json(document)
    else:
        sys.stdout.write(json.dumps(document) + "\n")
