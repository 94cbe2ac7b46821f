"""The numbers behind `/metrics`, under the names Tempo 3.0.3 gives them."""

from __future__ import annotations

from harness.emulators.tempo import VERSION

Labels = tuple[tuple[str, str], ...]

GAUGES = frozenset(
    {
        "tempo_build_info", "tempo_live_store_live_traces", "tempo_live_store_live_trace_bytes",
        "tempo_live_store_ready", "tempodb_blocklist_length", "tempo_receiver_accepted_spans",
        "tempo_receiver_refused_spans",
    }
)  # fmt: skip
START_AT_ZERO = (
    "tempo_live_store_blocks_completed_total", "tempo_live_store_local_blocks_flushed_total",
    "tempo_live_store_local_failed_flushes_total", "tempo_live_store_failed_completions_total",
    "tempodb_retention_deleted_total", "tempodb_retention_marked_for_deletion_total",
    "tempodb_retention_errors_total", "tempodb_compaction_errors_total", "tempo_live_store_ready",
)  # fmt: skip
"""Series that exist before anything happened; labelled ones appear at first use, as in Tempo."""


class Counters:
    """Every series by name and labels."""

    def __init__(self) -> None:
        self._values: dict[str, dict[Labels, float]] = {name: {(): 0.0} for name in START_AT_ZERO}
        self.set("tempo_build_info", 1, branch="HEAD", goarch="amd64", goos="linux", goversion="go1.27.3",
                 revision="53d1c1c208", tags="unknown", version=VERSION)  # fmt: skip

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Count up."""
        series = self._values.setdefault(name, {})
        key = tuple(sorted(labels.items()))
        series[key] = series.get(key, 0.0) + amount

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._values.setdefault(name, {})[tuple(sorted(labels.items()))] = value

    def value(self, name: str, **labels: str) -> float:
        """The present value, 0 when there is none."""
        return self._values.get(name, {}).get(tuple(sorted(labels.items())), 0.0)

    def page(self) -> str:
        """The text exposition format, sorted by name."""
        lines: list[str] = []
        for name in sorted(self._values):
            kind = "gauge" if name in GAUGES else "counter"
            lines.append(f"# TYPE {name} {kind if not name.endswith(('_sum', '_count')) else 'untyped'}")
            lines += [f"{name}{_braces(labels)} {value:.15g}" for labels, value in sorted(self._values[name].items())]
        return "\n".join(lines) + "\n"


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    escaped = ((key, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for key, value in labels)
    return "{" + ",".join(f'{key}="{value}"' for key, value in escaped) + "}"
