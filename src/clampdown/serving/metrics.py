"""What Prometheus is told: how many, how long, how much; never what was said."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from clampdown.serving.loop import EngineLoop

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """The counters of one server, in a registry of its own."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self, loop: EngineLoop) -> None:
        self._registry = into = CollectorRegistry()
        self.requests = Counter("clampdown_requests", "Requests answered", ["path", "status"], registry=into)
        self.seconds = Histogram(
            "clampdown_request_seconds", "Whole requests", ["path"], buckets=_SECONDS, registry=into
        )
        self.first = Histogram("clampdown_first_text_seconds", "Until a first text", buckets=_SECONDS, registry=into)
        self.tokens = Counter("clampdown_tokens", "Tokens read and said", ["model", "kind"], registry=into)
        self.gates = Counter("clampdown_gates", "What gates said", ["model", "gate"], registry=into)
        under_way = Gauge("clampdown_answers_under_way", "Answers that run or wait", registry=into)
        under_way.set_function(lambda: loop.under_way)

    def text(self) -> bytes:
        """In Prometheus' form."""
        return generate_latest(self._registry)
