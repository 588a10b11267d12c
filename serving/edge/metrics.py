"""Numbers about masking for a monitoring system: counts and times, no text and no value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from masking.classes import PiiClass
    from masking.detection import DetectionSource

_SECONDS = (0.0003, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)


class MaskingMetrics:
    """Count what the masker of this process does. Implements `masking.meter.MaskMeter`; one registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._texts = Counter("masked_texts", "Texts that were masked anew.", registry=self._registry)
        self._spans = Counter(
            "masked_spans",
            "Values that were masked, by class and by what found them.",
            ["class", "source"],
            registry=self._registry,
        )
        self._hits = Counter("masking_cache_hits", "Texts that were masked before.", registry=self._registry)
        self._seconds = Histogram("masking_seconds", "Seconds for a text.", buckets=_SECONDS, registry=self._registry)

    def count_text(self, spans: Sequence[tuple[PiiClass, DetectionSource]], *, duration_s: float) -> None:
        """Note a text that was masked anew, what was found in it, and how long that took."""
        self._texts.inc()
        self._seconds.observe(duration_s)
        for pii_class, source in spans:
            self._spans.labels(pii_class.value, source).inc()

    def count_cache_hit(self) -> None:
        """Note a text that was masked before."""
        self._hits.inc()

    def render(self, *, tenant_id: str, leak_incidents: int) -> bytes:
        """Return everything in the Prometheus text format, with the tenant's incidents as they stand."""
        # A registry for this answer alone: nobody reads another tenant's number.
        of_tenant = CollectorRegistry()
        gauge = Gauge("masked_field_leakage_incidents", "Leak incidents, open and closed.", ["tenant"], registry=of_tenant)
        gauge.labels(tenant_id).set(leak_incidents)
        return generate_latest(of_tenant) + generate_latest(self._registry)
