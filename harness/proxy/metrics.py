"""The byte counters in Prometheus' text format, under upstream's names and labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.proxy.endpoint import Traffic
from harness.proxy.proxy import Proxy
from harness.proxy.stream import Stream

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(proxies: Iterable[Proxy]) -> str:
    """Bytes received and sent, per proxy and direction, since it was created or last moved."""
    known = tuple(proxies)
    lines: list[str] = []
    for field in ("received", "sent"):
        name = f"toxiproxy_proxy_{field}_bytes_total"
        lines += [f"# HELP {name} Bytes {field} by a proxy in one direction.", f"# TYPE {name} counter"]
        lines += [f"{name}{{{labels}}} {getattr(traffic, field)}" for labels, traffic in _series(known)]
    return "\n".join(lines) + "\n"


def _series(proxies: Iterable[Proxy]) -> Iterator[tuple[str, Traffic]]:
    for proxy in proxies:
        for stream in Stream:
            labels = {"direction": stream, "listener": proxy.listen, "proxy": proxy.name, "upstream": proxy.upstream}
            yield ",".join(f'{key}="{_escape(value)}"' for key, value in labels.items()), proxy.traffic[stream]


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
