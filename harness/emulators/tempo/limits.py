"""Tenants and their limits: ids, overrides, and the ingestion rate."""

from __future__ import annotations

import logging
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SINGLE_TENANT = "single-tenant"
MAX_TENANT = 150
ALLOWED = frozenset(string.ascii_letters + string.digits + "!-_.*'()")

log = logging.getLogger("tempo.overrides")


class NoTenantError(Exception):
    """Multitenancy is on and the request names no tenant; the message is Tempo's."""


class TenantError(Exception):
    """A tenant id that is not allowed; the message is Tempo's."""


def tenants(header: str | None, *, enabled: bool, several: bool = False) -> list[str]:
    """The tenants of a request. `several` allows `a|b`. Raises NoTenantError or TenantError."""
    if not enabled:
        return [SINGLE_TENANT]
    if not header:
        raise NoTenantError("no org id")
    names = header.split("|") if several else [header]
    for name in names:
        if len(name) > MAX_TENANT:
            raise TenantError(f"tenant ID is too long: max {MAX_TENANT} characters")
        wrong = next((char for char in name if char not in ALLOWED), None)
        if wrong:
            raise TenantError(f"tenant ID '{name}' contains unsupported character '{wrong}'")
    return sorted(set(names))


@dataclass(frozen=True, slots=True)
class Limits:
    """One tenant's limits. Bytes, bytes per second, counts; 0 traces or 0 trace bytes means no limit."""

    rate: int
    burst: int
    max_traces: int
    max_trace_bytes: int
    retry_info: bool

    @classmethod
    def of(cls, block: Mapping[str, Any]) -> Limits:
        """From an overrides block. A tenant's block replaces the defaults: what it leaves out is zero."""
        ingestion, everywhere = block.get("ingestion") or {}, block.get("global") or {}
        return cls(
            int(ingestion.get("rate_limit_bytes", 0)), int(ingestion.get("burst_size_bytes", 0)),
            int(ingestion.get("max_traces_per_user", 0)), int(everywhere.get("max_bytes_per_trace", 0)),
            bool(ingestion.get("retry_info_enabled", False)),
        )  # fmt: skip


class Overrides:
    """Defaults and the per-tenant file, which is read again every `period` seconds."""

    def __init__(self, defaults: Mapping[str, Any], path: Path | None, period: float) -> None:
        self.defaults = defaults
        self.tenants: dict[str, dict[str, Any]] = {}
        self._path = path if path and path.is_file() else None
        self._period = period
        self._next = 0.0

    def tick(self, now: float) -> None:
        """Read the file again when due; a broken one keeps what was known."""
        if self._path is None or now < self._next:
            return
        self._next = now + self._period
        try:
            found = yaml.safe_load(self._path.read_text()) or {}
            self.tenants = {str(name): block or {} for name, block in (found.get("overrides") or {}).items()}
        except (OSError, yaml.YAMLError, AttributeError) as error:
            log.warning("failed to load per-tenant overrides: %s", error)

    def block(self, tenant: str) -> tuple[str, Mapping[str, Any]]:
        """Where a tenant's overrides come from, and the overrides."""
        for name in (tenant, "*"):
            if name in self.tenants:
                return name, self.tenants[name]
        return "default overrides", self.defaults

    def limits(self, tenant: str) -> Limits:
        """A tenant's limits."""
        return Limits.of(self.block(tenant)[1])


class RateLimiter:
    """A token bucket per tenant. A changed limit takes effect without refilling the bucket."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float, int, int]] = {}

    def refusal(self, tenant: str, size: int, limits: Limits, now: float) -> str:
        """Why `size` bytes are too much right now, or nothing (then they are taken)."""
        tokens, last, rate, burst = self._buckets.get(tenant, (float(limits.burst), now, limits.rate, limits.burst))
        tokens = min(float(burst), tokens + (now - last) * rate)
        if size <= tokens and size <= limits.burst:
            self._buckets[tenant] = (tokens - size, now, limits.rate, limits.burst)
            return ""
        self._buckets[tenant] = (tokens, now, limits.rate, limits.burst)
        limit = f"(local: {limits.rate} bytes/s, global: 0 bytes/s, burst: {limits.burst} bytes)"
        if size > limits.burst:
            return (
                f"RATE_LIMITED: batch size ({size} bytes) exceeds ingestion limit {limit} while adding {size} bytes "
                f"for user {tenant}. consider reducing batch size or increasing rate limit."
            )
        return (
            f"RATE_LIMITED: ingestion rate limit {limit} exceeded while adding {size} bytes for user {tenant}. "
            "consider increasing the limit or reducing ingestion rate."
        )
