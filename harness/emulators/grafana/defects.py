"""The seeded faults of this emulator. Each is hooked where the real bug would sit."""

from __future__ import annotations

KNOWN = {
    "lost_dashboard_write": "saving a dashboard answers success and the new version, but nothing is stored",
    "ignored_dashboard_version": "a save with a stale version overwrites instead of answering 412",
    "provisioned_writable": "dashboards and data sources that came from files can be changed by the API",
    "viewer_can_write": "the role of the caller is not checked",
    "token_never_expires": "a service account token is accepted after its expiration",
    "no_lockout": "failed logins are not counted, so passwords can be tried without end",
    "secrets_readable": "secureJsonData comes back in clear text in a data source's jsonData",
    "silent_datasource_down": "a query to an unreachable data source answers 200 with no frames",
    "pending_skipped": "an alert rule's `for` is ignored: it fires at its first bad evaluation",
    "alert_never_resolves": "an alert that fired keeps firing when its condition is false again",
    "webhook_dropped": "a notification is counted as delivered but never sent",
    "health_hides_database": "/api/health says ok although the database fails",
}
"""Name -> what it breaks, as `--defects` prints it."""
