"""A running stack as a table: what answers where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.credentials import MASK
from harness.keeper.client import RemoteHandle


def print_stack(console: Console, handles: Iterable[RemoteHandle], secrets: bool) -> None:
    """One row per service, every address, credentials only when asked for."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("service", "state", "answers", "ready", "addresses", "credentials"):
        table.add_column(column, overflow="fold")
    for handle in handles:
        addresses = "\n".join(f"{endpoint.name} {endpoint.url}" for endpoint in handle.endpoints.values())
        shown = "\n".join(
            f"{name} {secret.reveal() if secrets else MASK}" for name, secret in handle.credentials.items()
        )
        ready = f"{handle.ready_after:.2f} s" if handle.ready_after else "-"
        table.add_row(handle.name, str(handle.state), str(handle.fidelity), ready, addresses, shown)
    console.print(table)


def as_data(handles: Iterable[RemoteHandle], secrets: bool) -> list[dict[str, Any]]:
    """The same as JSON values."""
    return [
        {
            "name": handle.name,
            "kind": handle.kind,
            "state": handle.state,
            "cause": handle.cause,
            "fidelity": {
                "source": handle.fidelity.source,
                "version": handle.fidelity.version,
                "unproven": handle.fidelity.unproven,
            },
            "seconds_to_ready": handle.ready_after,
            "log": str(handle.log),
            "endpoints": {endpoint.name: endpoint.url for endpoint in handle.endpoints.values()},
            "authority": next((one.authority for one in handle.endpoints.values() if one.authority), ""),
            "credentials": {name: secret.reveal() if secrets else MASK for name, secret in handle.credentials.items()},
        }
        for handle in handles
    ]
