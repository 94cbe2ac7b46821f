"""The seeded defects: each a real class of Collector bug, off unless `--defect NAME` asks for it."""

from __future__ import annotations

DEFECTS: dict[str, str] = {
    "ack_without_consume": "every tenth OTLP request is acknowledged and counted as accepted, but its items vanish",
    "batch_lost_on_shutdown": "SIGTERM throws away what waits in the batch processor instead of flushing it",
    "counts_failed_as_sent": "an export that failed for good is counted in sent_*, never in send_failed_*",
    "duplicate_delivery": "a delivered request is sent a second time, as if its answer had been lost",
    "gives_up_at_first_failure": "retry_on_failure is accepted but never applied",
    "health_follows_backend": "health_check answers 503 while an exporter is failing",
    "ignores_retry_info": "RetryInfo and Retry-After of the backend are ignored, only the own back-off counts",
    "limiter_never_refuses": "memory_limiter measures but never refuses data",
    "queue_forgets_in_flight": "the persistent queue removes an item when it is dispatched, not when it is delivered",
    "queue_full_acknowledged": "a full sending queue drops silently: the client gets success and nothing is counted",
}
