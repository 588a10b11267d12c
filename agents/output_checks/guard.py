"""The rules as guardrails-ai validators, one Guard per task. Its import takes seconds: `load_guard` does it, where used."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from agents.output_checks.rules import RULES, Evidence, Rule, find_support
from agents.support.claims import Claim

_PREFIX = "tellergate"
_EVIDENCE_KEY = "evidence"
_LOAD_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Hold what the checks say of one sentence. `support` is the claim it cites when it passed."""

    passed: bool
    support: Claim | None
    reasons: tuple[str, ...]


class SentenceGuard(Protocol):
    """Check one finished sentence; about 2 ms."""

    def check(self, sentence: str, evidence: Evidence) -> Verdict:
        """Return the verdict. A check that breaks counts as failed."""
        ...


def load_guard(task: str, rules: Mapping[str, Rule] = RULES) -> SentenceGuard:
    """Import guardrails offline and quietly, register the validators and build the guard of one task. Seconds the first time."""
    with _LOAD_LOCK, _quiet_import():
        import guardrails
        from guardrails import validator_service
        from guardrails.settings import settings
    # Ours take microseconds: one by one in the caller's thread. Else it looks for an event loop of its own and warns inside ours.
    validator_service.should_run_sync = lambda: True
    settings.rc.enable_metrics = False
    settings.rc.use_remote_inferencing = False
    settings.disable_tracing = True
    validators = [_register(guardrails, name, rule) for name, rule in rules.items()]
    guard = guardrails.Guard(name=f"{_PREFIX}-{task}", history_max_length=1).use(*validators)
    guard.configure(allow_metrics_collection=False)
    return _GuardrailsGuard(guard)


class _GuardrailsGuard:
    def __init__(self, guard: Any) -> None:
        self._guard = guard

    def check(self, sentence: str, evidence: Evidence) -> Verdict:
        try:
            outcome = self._guard.validate(sentence, metadata={_EVIDENCE_KEY: evidence})
        except Exception as error:  # noqa: BLE001 - any failure of the checks means the sentence is not shown
            return Verdict(passed=False, support=None, reasons=(f"the checks failed: {type(error).__name__}",))
        reasons = tuple(f"{summary.validator_name}: {summary.failure_reason}" for summary in outcome.validation_summaries or ())
        support = find_support(sentence, evidence)
        passed = bool(outcome.validation_passed) and not reasons and support is not None
        return Verdict(passed=passed, support=support if passed else None, reasons=reasons)


def _register(guardrails: Any, name: str, rule: Rule) -> Any:
    """Make a validator class that runs one rule."""
    from guardrails.classes.validation.validation_result import FailResult, PassResult

    def _validate(self: Any, value: Any, metadata: dict[str, Any]) -> Any:  # noqa: ARG001
        problem = rule(value, metadata[_EVIDENCE_KEY])
        return PassResult() if problem is None else FailResult(error_message=problem)

    class_name = f"{name.title()}Check"
    made: Callable[..., Any] = type(class_name, (guardrails.Validator,), {"_validate": _validate})
    registered = guardrails.register_validator(name=f"{_PREFIX}/{name}", data_type="string")(made)
    return registered(on_fail=guardrails.OnFailAction.NOOP)


@contextmanager
def _quiet_import() -> Iterator[None]:
    """Keep guardrails' import from downloading NLTK data: it does without NLTK when there is none.

    Warnings of its dependencies while importing are theirs to mend.
    """
    held = sys.modules.get("nltk")
    is_loaded = "guardrails" in sys.modules
    if not is_loaded:
        sys.modules["nltk"] = None  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if not is_loaded:
            del sys.modules["nltk"]
            if held is not None:
                sys.modules["nltk"] = held
