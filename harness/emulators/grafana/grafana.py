"""One Grafana put together, and the few answers that need all of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from . import VERSION
from .accounts import BLANK_USER, Accounts, user_of
from .alertmanager import Alertmanager
from .annotations import Annotations
from .auth import Auth, Identity
from .dashboards import Dashboards, search
from .datasources import DataSources
from .errors import denied, unauthorized
from .folders import Folders
from .http import JSON, App, Reply, Request
from .instances import Instances
from .metrics import exposition
from .notifications import Notifications
from .provisioning import Provisioning
from .proxy import Proxy
from .query import Queries
from .routes import FAMILIES, routes
from .rules import Rules
from .scheduler import Scheduler
from .service_accounts import ServiceAccounts
from .site import Site

HEALTH_CACHE_SECONDS = 5.0
COMMIT = "emulator"


class Grafana:
    """The parts by name, and the ASGI `app` over them."""

    def __init__(self, site: Site, environ: Mapping[str, str]) -> None:
        self.site = site
        self.accounts, self.service_accounts = Accounts(site), ServiceAccounts(site)
        self.auth = Auth(site, self.accounts, self.service_accounts)
        self.datasources, self.folders, self.annotations = DataSources(site), Folders(site), Annotations(site)
        self.dashboards = Dashboards(site, self.folders)
        self.queries = Queries(site, self.datasources)
        self.proxy = Proxy(self.datasources, self.queries)
        self.rules, self.notifications = Rules(site), Notifications(site)
        self.alertmanager = Alertmanager(site, self.notifications)
        self.scheduler = Scheduler(site, self.rules, self.queries, Instances(site), self.alertmanager)
        parts = (self.datasources, self.folders, self.dashboards, self.rules, self.notifications)
        self.provisioning = Provisioning(site, environ, *parts)
        self._database = HealthCheck(site.store.check, site.clock)
        self.app = App(self.auth, routes(self), FAMILIES, site.defects)

    async def health(self, _: Request) -> Reply:
        """GET /api/health: 503 when the database fails; the finding is kept for 5 s."""
        ok = self._database.ok() or "health_hides_database" in self.site.defects
        body: dict[str, Any] = {"database": "ok" if ok else "failing"}
        if not self.site.settings.on("auth.anonymous.hide_version"):
            body |= {"version": VERSION, "commit": COMMIT}
        return Reply(200 if ok else 503, json.dumps(body, indent=2).encode(), [("Content-Type", JSON)])

    def metrics(self, _: Request) -> Reply:
        """GET /metrics."""
        text = exposition(self.app.seen, self.app.seconds, self.scheduler.counts)
        return Reply(200, text.encode(), [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])

    def me(self, who: Identity) -> dict[str, Any]:
        """GET /api/user: whoever signed in; of a service account little is known."""
        if not who.id:
            raise unauthorized()
        user = self.site.store.get("user", 0, str(who.id))
        return user_of(user or BLANK_USER | {"uid": f"service-account:{who.id}", "login": who.login, "name": who.login})

    def folder(self, request: Request) -> dict[str, Any]:
        """GET /api/folders/{uid}: to all but admins an unknown folder looks like a forbidden one."""
        uid = request.params["uid"]
        if not request.who.may("Admin") and not self.site.store.get("folder", request.org, uid):
            raise denied("folders:read")
        return self.folders.get(request.org, uid)

    def search(self, request: Request) -> list[dict[str, Any]]:
        """GET /api/search."""
        return search(self.site, request.org, request.queries)

    async def query(self, request: Request) -> Reply:
        """POST /api/ds/query."""
        status, body = await self.queries.request(request.org, request.json())
        return Reply(status, json.dumps(body).encode(), [("Content-Type", JSON)])

    def frontend_settings(self, org: int) -> dict[str, Any]:
        """GET /api/frontend/settings, as far as clients read it for version, data sources and toggles."""
        sources = self.datasources.all(org)
        default = next((s["name"] for s in sources if s["isDefault"]), "")
        build: dict[str, Any] = {
            "version": VERSION,
            "versionString": f"Grafana v{VERSION}",
            "commit": COMMIT,
            "commitShort": COMMIT,
        }
        build |= {"edition": "Open Source", "env": "production", "hideVersion": False, "hasUpdate": False}
        body: dict[str, Any] = {"buildInfo": build, "defaultDatasource": default}
        body |= {"datasources": {s["name"]: s for s in sources}, "featureToggles": self.site.settings.toggles}
        return body

    def background(self) -> list[Callable[[], Any]]:
        """What runs beside the requests."""
        alerting = (
            [self.scheduler.run, self.scheduler.deliver] if self.site.settings.on("unified_alerting.enabled") else []
        )
        return [*alerting, self.provisioning.poll]

    async def stop(self) -> None:
        """Let running evaluations end and close the database."""
        await asyncio.sleep(0)
        self.site.store.close()


class HealthCheck:
    """Remembers for five seconds what the database said."""

    def __init__(self, check: Callable[[], bool], clock: Callable[[], float]) -> None:
        self._check, self._clock = check, clock
        self._known: tuple[float, bool] | None = None

    def ok(self) -> bool:
        """The finding, at most five seconds old."""
        now = self._clock()
        if self._known is None or now - self._known[0] >= HEALTH_CACHE_SECONDS:
            self._known = (now, self._check())
        return self._known[1]
