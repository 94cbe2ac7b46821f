"""GET /metrics: the few of Grafana's series that tests read."""

from __future__ import annotations

from collections import Counter

from . import VERSION

_ALERTING = {
    "evaluations": ("grafana_alerting_rule_evaluations_total", '{org="1"}'),
    "failures": ("grafana_alerting_rule_evaluation_failures_total", '{org="1"}'),
    "missed": ("grafana_alerting_schedule_rule_evaluations_missed_total", '{org="1"}'),
    "notifications": ("grafana_alerting_notifications_total", '{integration="webhook",org="1"}'),
    "notifications_failed": ("grafana_alerting_notifications_failed_total", '{integration="webhook",org="1"}'),
}
_HTTP = "grafana_http_request_duration_seconds"


def exposition(seen: Counter[tuple[str, str, int]], seconds: float, counts: Counter[str]) -> str:
    """The text format. Sums of durations are of all requests together."""
    lines = ["# TYPE grafana_build_info gauge"]
    build = f'branch="main",edition="oss",goversion="emulator",revision="emulator",version="{VERSION}"'
    lines.append(f"grafana_build_info{{{build}}} 1")
    lines.append(f"# TYPE {_HTTP} histogram")
    for (handler, method, status), count in sorted(seen.items()):
        labels = f'handler="{handler}",method="{method}",status_code="{status}"'
        lines.append(f'{_HTTP}_bucket{{{labels},le="+Inf"}} {count}')
        lines.append(f"{_HTTP}_count{{{labels}}} {count}")
        lines.append(f"{_HTTP}_sum{{{labels}}} {seconds * count / max(sum(seen.values()), 1):.6f}")
    by_code = Counter[int]()
    for (_, _, status), count in seen.items():
        by_code[status] += count
    lines.append("# TYPE grafana_api_response_status_total counter")
    lines += [f'grafana_api_response_status_total{{code="{code}"}} {count}' for code, count in sorted(by_code.items())]
    for key, (name, labels) in _ALERTING.items():
        lines += [f"# TYPE {name} counter", f"{name}{labels} {counts[key]}"]
    return "\n".join(lines) + "\n"
