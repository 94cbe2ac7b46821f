"""Configuration from files: data sources, dashboards and alerting, at start, on reload, and dashboards also by polling.

A broken data source or alerting file ends the start; a broken dashboard is only logged.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.emulators.runner import ConfigError

from .dashboards import Dashboards
from .datasources import DataSources
from .errors import GrafanaError, plain
from .folders import Folders
from .notifications import Notifications
from .rules import Rules
from .site import Site
from .times import seconds_of

_VARIABLE = re.compile(r"\$__env\{(\w+)\}|\$__file\{([^}]+)\}|\$\{(\w+)\}|\$(\w+)")
log = logging.getLogger("provisioning")


def interpolate(value: Any, environ: Mapping[str, str]) -> Any:
    """Replace `$VAR`, `${VAR}`, `$__env{VAR}`, `$__file{path}` in every text value, never in keys; `$$` is a dollar."""
    if isinstance(value, dict):
        return {key: interpolate(one, environ) for key, one in value.items()}
    if isinstance(value, list):
        return [interpolate(one, environ) for one in value]
    if not isinstance(value, str) or "$" not in value:
        return value

    def found(match: re.Match[str]) -> str:
        if match[2]:
            return Path(match[2]).read_text().strip()
        return environ.get(match[1] or match[3] or match[4], "")

    return "$".join(_VARIABLE.sub(found, part) for part in value.split("$$"))


class Provisioning:
    """Applies the files under `paths.provisioning`."""

    def __init__(
        self,
        site: Site,
        environ: Mapping[str, str],
        datasources: DataSources,
        folders: Folders,
        dashboards: Dashboards,
        rules: Rules,
        notifications: Notifications,
    ) -> None:
        self._site, self._environ = site, environ
        self._datasources, self._folders, self._dashboards = datasources, folders, dashboards
        self._rules, self._notifications = rules, notifications
        self._providers: list[dict[str, Any]] = []

    def start(self) -> None:
        """Everything once. Raises ConfigError in Grafana's words."""
        for name, work in (
            ("Datasource", self.datasources),
            ("Dashboard", self.dashboards),
            ("Alerting", self.alerting),
        ):
            try:
                work()
            except (GrafanaError, ConfigError) as error:
                raise ConfigError(f"{name} provisioning error: {error}") from error

    def reload(self, kind: str) -> dict[str, Any]:
        """POST /api/admin/provisioning/{kind}/reload. Raises 500 for files that cannot be applied."""
        work = {"datasources": self.datasources, "dashboards": self.dashboards, "alerting": self.alerting}
        if kind not in {*work, "plugins"}:
            raise plain(404, "Not found")
        try:
            work.get(kind, lambda: None)()
        except (GrafanaError, ConfigError) as error:
            log.warning("reload of %s failed: %s", kind, error)
            raise plain(500, "Internal Server Error") from error
        return {"message": f"{kind.capitalize()} config reloaded"}

    def _files(self, folder: str, known: set[str]) -> list[dict[str, Any]]:
        """The files of a folder. Raises ConfigError for one that cannot be read and for sections not emulated."""
        found = []
        directory = Path(self._site.settings.text("paths.provisioning")) / folder
        for path in sorted(p for pattern in ("*.yaml", "*.yml") for p in directory.glob(pattern)):
            try:
                body = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
                body = interpolate(body or {}, self._environ)
            except (yaml.YAMLError, OSError) as error:
                raise ConfigError(f"failed to read {path.name}: {error}") from error
            if not isinstance(body, dict):
                raise ConfigError(f"{path.name}: expected a mapping")
            if left_out := {key for key, value in body.items() if value} - known - {"apiVersion"}:
                raise ConfigError(f"{path.name}: not emulated: {', '.join(sorted(left_out))}")
            found.append(body)
        return found

    # -- data sources

    def datasources(self) -> None:
        """Raises ConfigError for two defaults in one organization."""
        files = self._files("datasources", {"datasources", "prune"})
        wanted = [(int(ds.get("orgId") or 1), ds) for file in files for ds in file.get("datasources") or []]
        for org in {org for org, _ in wanted}:
            if sum(bool(ds.get("isDefault")) for owner, ds in wanted if owner == org) > 1:
                text = "Only one datasource per organization can be marked as default"
                raise ConfigError(f"datasource.yaml config is invalid. {text}")
        with self._site.store.atomic():
            if any(file.get("prune") for file in files):
                self._prune({(org, ds.get("name")) for org, ds in wanted})
            for org, body in wanted:
                self._put_datasource(org, body)

    def _prune(self, wanted: set[tuple[int, Any]]) -> None:
        for body in self._site.store.all("datasource"):
            if body.get("fromFile") and (body["orgId"], body["name"]) not in wanted:
                self._datasources.delete(body["orgId"], body["uid"], provisioning=True)

    def _put_datasource(self, org: int, body: dict[str, Any]) -> None:
        name, editable = body.get("name"), bool(body.get("editable"))
        old = self._site.store.find("datasource", org, "name", name)
        if old:
            body = {key: value for key, value in body.items() if key != "version"}
            self._datasources.update(org, old["uid"], body, provisioning=True)
        else:
            self._datasources.create(org, body)
        stored = self._site.store.find("datasource", org, "name", name) or {}
        self._site.store.put("datasource", org, stored["uid"], stored | {"readOnly": not editable, "fromFile": True})

    # -- dashboards

    def dashboards(self) -> None:
        """Read the providers and load every dashboard below their paths."""
        files = self._files("dashboards", {"providers"})
        self._providers = [one for file in files for one in file.get("providers") or []]
        for provider in self._providers:
            if provider.get("type", "file") != "file" or not (provider.get("options") or {}).get("path"):
                raise ConfigError(f"dashboard provider {provider.get('name')!r}: expected type file with options.path")
            self._load(provider)

    async def poll(self) -> None:
        """Load changed files again, each provider every `updateIntervalSeconds`."""

        async def watch(provider: dict[str, Any]) -> None:
            while True:
                await asyncio.sleep(float(provider.get("updateIntervalSeconds") or 10))
                self._load(provider)

        await asyncio.gather(asyncio.Event().wait(), *(watch(provider) for provider in self._providers))

    def _load(self, provider: dict[str, Any]) -> None:
        org, root = int(provider.get("orgId") or 1), Path(provider["options"]["path"])
        entries = [e for e in self._site.store.all("dashboard", org) if e.get("provider") == provider["name"]]
        known, seen = {entry["externalId"]: entry for entry in entries}, set()
        for path in sorted(root.rglob("*.json")):
            name = str(path.relative_to(root))
            seen.add(name)
            try:
                self._load_one(provider, org, path, name, known.get(name))
            except (OSError, ValueError, GrafanaError) as error:
                log.error("failed to load dashboard from %s: %s", name, error)  # noqa: TRY400  # one line, as Grafana's
        for name in set(known) - seen:
            if not provider.get("disableDeletion"):
                self._dashboards.delete(org, known[name]["uid"], provisioning=True)

    def _load_one(self, provider: dict[str, Any], org: int, path: Path, name: str, old: dict[str, Any] | None) -> None:
        text = path.read_bytes()
        checksum = hashlib.sha256(text).hexdigest()
        if old and old["checksum"] == checksum:
            return
        model = json.loads(text)
        if not isinstance(model, dict) or not model.get("title"):
            raise ValueError("Dashboard title cannot be empty")
        title = str(provider.get("folder") or "")
        if provider["options"].get("foldersFromFilesStructure") and len(Path(name).parts) > 1:
            title = Path(name).parts[-2]
        folder = self._folders.by_title(org, title, str(provider.get("folderUid") or "")) if title else ""
        file = {"provider": provider["name"], "externalId": name, "checksum": checksum}
        file |= {"allowUiUpdates": bool(provider.get("allowUiUpdates"))}
        uid = {"uid": model.get("uid") or (old or {}).get("uid")}
        self._dashboards.save(org, {"dashboard": model | {"id": None} | uid, "folderUid": folder}, "Grafana", file)

    # -- alerting

    def alerting(self) -> None:
        """Contact points, policies, then rules; removing a rule from a file does not delete it."""
        files = self._files("alerting", {"contactPoints", "policies", "groups"})
        with self._site.store.atomic():
            for file in files:
                for point in file.get("contactPoints") or []:
                    self._contacts(int(point.get("orgId") or 1), point)
            for file in files:
                for tree in file.get("policies") or []:
                    body = {key: value for key, value in tree.items() if key != "orgId"}
                    self._notifications.put_policies(int(tree.get("orgId") or 1), body, "file")
                for group in file.get("groups") or []:
                    self._group(int(group.get("orgId") or 1), group)

    def _contacts(self, org: int, point: dict[str, Any]) -> None:
        for receiver in point.get("receivers") or []:
            uid = str(receiver.get("uid") or "")
            known = uid if self._site.store.get("contact", org, uid) else ""
            self._notifications.put_contact(org, receiver | {"name": point.get("name")}, "file", known)

    def _group(self, org: int, group: dict[str, Any]) -> None:
        folder = self._folders.by_title(org, str(group.get("folder") or ""))
        try:
            interval = int(seconds_of(group.get("interval") or "60s"))
        except ValueError as error:
            raise ConfigError(f"rule group {group.get('name')!r}: {error}") from error
        self._rules.set_interval(org, folder, str(group.get("name")), interval)
        for rule in group.get("rules") or []:
            place = {"folderUID": folder, "ruleGroup": group.get("name")}
            if not rule.get("uid"):
                raise ConfigError("rule UID is not set")
            if rule.get("dashboardUid"):
                place["annotations"] = (rule.get("annotations") or {}) | {
                    "__dashboardUid__": rule["dashboardUid"],
                    "__panelId__": str(rule.get("panelId") or ""),
                }
            self._rules.upsert(org, rule | place, "file")
