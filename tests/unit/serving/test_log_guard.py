"""No value reaches a log line or a trace. The values here are invented or published for tests."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from threading import Event as Flag
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from masking import guard as masking_guard
from masking.classes import PiiClass
from masking.guard import Surface
from masking.number_index import NumberIndex, build_index
from masking.number_prints import hash_form
from serving.log_guard import OutputGuard, guard_standard_logging
from serving.trace_guard import GuardedSpanExporter

CARD = "4242 4242 4242 4242"
ACCOUNT = "7304418829"
_KEY = b"k" * 32


@pytest.fixture
def guard() -> OutputGuard:
    return OutputGuard()


def _fail(message: str) -> None:
    raise ValueError(message)


def _index() -> NumberIndex:
    return build_index("t-1", _KEY, [(PiiClass.ACCOUNT.value, hash_form(_KEY, ACCOUNT).to_bytes(8, "big"))])


def _line(guard: OutputGuard, **event: Any) -> tuple[str, dict[str, Any]]:
    out = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[structlog.processors.format_exc_info, guard.clean_event, structlog.processors.JSONRenderer()],
    )
    logger.error("turn_failed", **event)
    return out.getvalue(), json.loads(out.getvalue())


@pytest.mark.parametrize(
    "fields",
    [
        {"detail": f"pay {CARD} now"},
        {"detail": {"deep": ["x", {"deeper": CARD}]}},
        {"detail": (CARD,)},
        {"detail": ValueError(CARD)},
        {"detail": {CARD: 1}},
        {"detail": 4242424242424242},
        {"detail": "anna.b@mail.example"},
    ],
)
def test_a_value_anywhere_in_an_event_is_replaced(guard: OutputGuard, fields: dict[str, Any]) -> None:
    raw, line = _line(guard, tenant_id="demo", **fields)
    assert "4242" not in raw
    assert "anna" not in raw
    assert "[blocked " in raw
    assert line["leak_blocked"] is True
    assert (line["event"], line["tenant_id"]) == ("turn_failed", "demo")
    ((surface, _, place),) = guard.take_findings()
    assert (surface, place) == (Surface.LOG, "log turn_failed")


def test_what_is_not_looked_at_is_not_written(guard: OutputGuard) -> None:
    long = "a 1 " * 5_000 + f" card {CARD}"
    raw, line = _line(guard, detail=long)
    assert "4242" not in raw
    assert line["detail"].endswith("[cut]")
    # A value that the cut goes through.
    for start in range(19_990, 20_010):
        assert "4242 4242" not in _line(guard, detail="x" * start + " " + CARD)[0]


def test_what_looks_like_ours_and_is_not_is_looked_at(guard: OutputGuard) -> None:
    for text in ("txn_4242424242424242", "at 2026-01-01T10:00:00Z 4242424242424242", "4242424242424242"):
        assert "4242" not in _line(guard, detail=text)[0], text


def test_an_incident_gets_no_name_that_somebody_wrote(guard: OutputGuard) -> None:
    guard.clean_event(None, "", {"event": f"mail to jane.doe@example.com {CARD} failed"})
    ((_, _, place),) = guard.take_findings()
    assert place == "log unnamed"


def test_an_object_that_cannot_say_what_it_is_stops_nothing(guard: OutputGuard) -> None:
    class Silent:
        def __repr__(self) -> str:
            raise RuntimeError

    cleaned = guard.clean_event(None, "", {"event": "x", "o": Silent()})
    assert cleaned["o"] == "<Silent>"


def test_a_traceback_is_read_too(guard: OutputGuard) -> None:
    try:
        _fail(f"bad card {CARD}")
    except ValueError:
        raw, line = _line(guard, exc_info=True)
    assert "4242" not in raw
    assert line["exception"] == "[blocked CARD]"


def test_ids_hashes_times_and_numbers_stay(guard: OutputGuard) -> None:
    fields = {
        "message_id": "msg_0123456789abcdef0123456789abcdef",
        "sha256": "4242424242424242" * 4,
        "timestamp": "2026-03-04T10:00:00.123456Z",
        "total_ms": 4242,
        "started_ns": 1772618400123456789,
        "none": None,
        "ok": True,
        "text": "12 of 40 rows, EUR 49.90, 2026-03-04",
    }
    _, line = _line(guard, **fields)
    assert line == {"event": "turn_failed", **fields}
    assert guard.take_findings() == []


def test_a_customers_number_is_known_once_the_index_is_there(guard: OutputGuard) -> None:
    assert ACCOUNT in _line(guard, detail=f"ref {ACCOUNT}")[0]
    told, done = [], Flag()

    def report(surface: Surface, classes: Any, place: str) -> None:
        told.append((surface, tuple(classes), place))
        done.set()

    guard.join(index_of=_index, report=report)
    raw, line = _line(guard, detail=f"ref {ACCOUNT}")
    assert ACCOUNT not in raw
    assert line["detail"] == "[blocked ACCOUNT]"
    assert done.wait(10)
    assert told == [(Surface.LOG, ("ACCOUNT",), "log turn_failed")]


def test_logging_goes_on_when_the_guard_breaks_and_writes_nothing_unchecked(
    guard: OutputGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(masking_guard, "find_leaks", broken)
    raw, line = _line(guard, detail=CARD)
    assert "4242" not in raw
    assert line["detail"] == "[blocked UNCHECKED]"


def test_findings_beyond_the_queue_are_dropped_and_nobody_waits(guard: OutputGuard) -> None:
    for _ in range(2_000):
        guard.note(Surface.LOG, {"CARD"}, "log x")
    assert len(guard.take_findings()) == 256


@pytest.fixture
def standard(guard: OutputGuard) -> Iterator[io.StringIO]:
    factory = logging.getLogRecordFactory()
    guard_standard_logging(guard)
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logger = logging.getLogger("a.library")
    logger.addHandler(handler)
    yield out
    logger.removeHandler(handler)
    logging.setLogRecordFactory(factory)


def test_a_library_that_logs_by_itself_is_guarded(guard: OutputGuard, standard: io.StringIO) -> None:
    logger = logging.getLogger("a.library")
    logger.warning("wrote %s", CARD)
    logger.warning("wrote %d rows", 3)
    try:
        _fail(CARD)
    except ValueError:
        logger.exception("failed")
    logger.warning("wrong %s %s", CARD)  # noqa: PLE1206
    written = standard.getvalue()
    assert "4242" not in written
    assert "wrote 3 rows" in written
    assert "do not fit" in written
    assert written.count("[blocked CARD]") >= 2
    assert {finding[2] for finding in guard.take_findings()} == {"logger a.library"}


def test_a_trace_is_guarded(guard: OutputGuard) -> None:
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(GuardedSpanExporter(memory, guard)))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span(f"ask {CARD}") as span:
        span.set_attribute("prompt", f"card {CARD}")
        span.set_attribute("rows", [CARD, "fine"])
        span.set_attribute("count", 3)
        span.add_event("read", {"line": CARD})
        span.set_status(Status(StatusCode.ERROR, CARD))
    with tracer.start_as_current_span("clean") as span:
        span.set_attribute("count", 4)
    provider.shutdown()
    dirty, clean = memory.get_finished_spans()
    assert "4242" not in dirty.to_json()
    assert dirty.attributes is not None
    assert (dirty.attributes["count"], dirty.attributes["leak_blocked"]) == (3, True)
    assert (clean.name, dict(clean.attributes or {})) == ("clean", {"count": 4})
    assert [finding[:2] for finding in guard.take_findings()] == [(Surface.TRACE, ("CARD",))]
