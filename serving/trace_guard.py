"""The last step before a trace leaves: attributes, events and names of spans go through the same guard as the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link
from opentelemetry.trace.status import Status

from masking.guard import Surface
from serving.log_guard import OUTPUT_GUARD, OutputGuard


class GuardedSpanExporter(SpanExporter):
    """Wrap an exporter: no value reaches it."""

    def __init__(self, inner: SpanExporter, guard: OutputGuard = OUTPUT_GUARD) -> None:
        self._inner = inner
        self._guard = guard

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export what is left of the spans."""
        return self._inner.export([self._clean(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the inner one down."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the inner one."""
        return self._inner.force_flush(timeout_millis)

    def _clean(self, span: ReadableSpan) -> ReadableSpan:
        classes: set[str] = set()
        name = self._guard.clean_text(span.name, classes)
        attributes = self._clean_values(span.attributes, classes)
        events = [
            Event(self._guard.clean_text(event.name, classes), self._clean_values(event.attributes, classes), event.timestamp)
            for event in span.events
        ]
        links = [Link(link.context, self._clean_values(link.attributes, classes)) for link in span.links]
        description = span.status.description
        status = Status(span.status.status_code, self._guard.clean_text(description, classes) if description else None)
        if classes:
            attributes["leak_blocked"] = True
            self._guard.note(Surface.TRACE, classes, "span")
        return ReadableSpan(
            name=name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=attributes,
            events=events,
            links=links,
            kind=span.kind,
            status=status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _clean_values(self, values: Mapping[str, Any] | None, classes: set[str]) -> dict[str, Any]:
        return {self._guard.clean_text(key, classes): self._clean_value(value, classes) for key, value in (values or {}).items()}

    def _clean_value(self, value: Any, classes: set[str]) -> Any:
        if isinstance(value, str):
            return self._guard.clean_text(value, classes)
        if isinstance(value, list | tuple):
            return [self._clean_value(one, classes) for one in value]
        return value
