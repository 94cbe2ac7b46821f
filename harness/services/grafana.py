"""Grafana: data sources, dashboards, folders, alerting."""

from __future__ import annotations

import re
import uuid
from typing import ClassVar

from harness.credentials import Secret
from harness.model import Port, Reading, ServicePlan
from harness.ports import Handle
from harness.probes.http import expect
from harness.probes.poll import NotYet
from harness.services.base import ImageFacts, Kind, Launch, Place, basic, take_flags, user_of
from harness.services.http_session import ServiceSession

PROVISIONING = "/etc/grafana/provisioning"
TLS_FILES = ("GF_SERVER_CERT_FILE", "GF_SERVER_CERT_KEY")


class Grafana(Kind):
    """One instance on SQLite, its data sources and dashboards provisioned from files."""

    name: ClassVar[str] = "grafana"
    fixture: ClassVar[str] = "grafana"
    images: ClassVar[tuple[str, ...]] = ("grafana/grafana", "grafana/grafana-enterprise", "grafana/grafana-oss")
    programs: ClassVar[tuple[str, ...]] = ("grafana", "grafana-server")
    ports: ClassVar[tuple[Port, ...]] = (Port("http", 3000, "http"),)
    secret_variables: ClassVar[tuple[str, ...]] = ("GRAFANA_ADMIN_PASSWORD",)
    emulator_unproven: ClassVar[bool] = True
    emulator_tls: ClassVar[bool] = True
    version_arguments: ClassVar[tuple[str, ...]] = ("-v",)
    facts: ClassVar[ImageFacts] = ImageFacts(
        user="472",
        has_shell=True,
        writable=("/var/lib/grafana", "/var/log/grafana"),
        entrypoint=("/run.sh",),
        licence="AGPL-3.0",
        source="https://github.com/grafana/grafana/blob/v13.2.3/Dockerfile",
    )

    def read_version(self, printed: str) -> str:
        """`grafana version 13.2.3` or `Version 13.2.3 (commit: ...)`."""
        match = re.search(r"[Vv]ersion (\d+\.\d+\.\d+\S*)", printed)
        return match.group(1) if match else ""

    def launch(self, place: Place) -> Launch:
        """`server`; everything else is Grafana's own environment variables."""
        take_flags(self.name, place.service, {"server": 0})
        return Launch(
            ("server",),
            {
                "GF_SERVER_HTTP_ADDR": "127.0.0.1",
                **{name: place.host_path(place.service.environment[name]) for name in TLS_FILES if place.service.tls},
                "GF_SERVER_HTTP_PORT": place.port("http"),
                "GF_PATHS_DATA": str(place.data),
                "GF_PATHS_LOGS": str(place.data / "log"),
                "GF_PATHS_PLUGINS": str(place.data / "plugins"),
                "GF_PATHS_PROVISIONING": place.host_path(PROVISIONING),
                "DASHBOARDS_PATH": place.host_path(place.service.environment.get("DASHBOARDS_PATH", "")),
            },
        )

    def credentials(self, service: ServicePlan) -> dict[str, Secret]:
        """The administrator's password."""
        return {"password": Secret(service.environment.get("GF_SECURITY_ADMIN_PASSWORD", "admin"))}

    def login(self, handle: Handle) -> tuple[str, str]:
        """The administrator's name and password, for basic authentication."""
        return (user_of(handle, "admin"), handle.credentials["password"].reveal())

    def authorization(self, handle: Handle) -> dict[str, str]:
        """A service account's `token`, else the administrator."""
        found = super().authorization(handle)
        if "Authorization" not in found and "password" in handle.credentials:
            found["Authorization"] = basic(*self.login(handle))
        return found

    def ready(self, handle: Handle) -> str:
        """Its database answers, and a folder made as administrator is found and removed."""
        http, login, uid = handle.endpoint("http"), self.authorization(handle), f"ready-{uuid.uuid4().hex[:12]}"
        health = expect(200, http, "/api/health").json()
        if health.get("database") != "ok":
            raise NotYet(f"database {health.get('database')!r}")
        expect(200, http, "/api/folders", "POST", body={"uid": uid, "title": uid}, headers=login, timeout=5)
        try:
            if expect(200, http, f"/api/folders/{uid}", headers=login).json()["title"] != uid:
                raise NotYet("a folder read back different from what was written")
        finally:
            expect(200, http, f"/api/folders/{uid}", "DELETE", headers=login, timeout=5)
        return str(health["version"])

    def saturation(self, handle: Handle) -> tuple[Reading, ...]:
        """What it says of its database."""
        health = expect(200, handle.endpoint("http"), "/api/health").json()
        return (Reading("database", str(health.get("database", "unknown"))),)

    def client(self, handle: Handle) -> ServiceSession:
        """A session for the HTTP API, logged in."""
        session = ServiceSession(handle.endpoint("http"), timeout=10)
        session.headers.update(self.authorization(handle))
        return session

    def open_namespace(self, handle: Handle, name: str) -> str:
        """A folder of its own; returns its uid."""
        with self.client(handle) as session:
            session.post("/api/folders", json={"uid": name, "title": name}).raise_for_status()
        return name

    def close_namespace(self, handle: Handle, name: str) -> None:
        """Delete the folder with its dashboards and rules."""
        with self.client(handle) as session:
            answer = session.delete(f"/api/folders/{name}", params={"forceDeleteRules": "true"})
            if answer.status_code != 404:
                answer.raise_for_status()
