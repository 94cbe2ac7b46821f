"""Grafana's configuration: defaults < grafana.ini < GF_* environment < `cfg:` arguments; the last one wins.

Only keys named in `DEFAULTS` or in the ini file can be set by the environment, as in Grafana.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.emulators.runner import ConfigError

from .times import seconds_of

DEFAULTS = {
    "server.http_addr": "",
    "server.http_port": "3000",
    "server.protocol": "http",
    "server.cert_file": "",
    "server.cert_key": "",
    "server.root_url": "",
    "server.domain": "localhost",
    "paths.data": "/var/lib/grafana",
    "paths.provisioning": "/etc/grafana/provisioning",
    "database.wal": "false",
    "security.admin_user": "admin",
    "security.admin_password": "admin",
    "security.admin_email": "admin@localhost",
    "security.disable_brute_force_login_protection": "false",
    "security.brute_force_login_protection_max_attempts": "5",
    "auth.login_maximum_lifetime_duration": "30d",
    "auth.basic.enabled": "true",
    "auth.anonymous.enabled": "false",
    "auth.anonymous.org_name": "Main Org.",
    "auth.anonymous.org_role": "Viewer",
    "auth.anonymous.hide_version": "false",
    "dataproxy.timeout": "30",
    "dataproxy.dialtimeout": "10",
    "dashboards.versions_to_keep": "20",
    "unified_alerting.enabled": "true",
    "unified_alerting.execute_alerts": "true",
    "unified_alerting.min_interval": "10s",
    "unified_alerting.scheduler_tick_interval": "10s",
    "unified_alerting.evaluation_timeout": "30s",
    "unified_alerting.max_attempts": "3",
    "unified_alerting.initial_retry_delay": "1s",
    "unified_alerting.max_retry_delay": "4s",
    "unified_alerting.disable_jitter": "false",
    "unified_alerting.resolved_alert_retention": "15m",
    "feature_toggles.enable": "",
}
"""`section.key` -> the value in Grafana's defaults.ini."""
BASE_TICK_SECONDS = 10.0
"""The alert scheduler's tick, fixed unless `configurableSchedulerTick` is on."""


@dataclass(frozen=True)
class Settings:
    """The resolved configuration. Keys are `section.key` in lower case."""

    values: Mapping[str, str]

    def text(self, key: str) -> str:
        """The value as written."""
        return self.values[key]

    def on(self, key: str) -> bool:
        """The value as a boolean, as Go's ParseBool reads it."""
        return self.values.get(key, "").lower() in {"true", "1", "t"}

    def number(self, key: str) -> int:
        """The value as an integer. Raises ConfigError."""
        try:
            return int(self.values[key])
        except ValueError as error:
            raise ConfigError(f"invalid value {self.values[key]!r} for {key}: expected a number") from error

    def seconds(self, key: str) -> float:
        """The value as a duration. Raises ConfigError."""
        try:
            return seconds_of(self.values[key])
        except ValueError as error:
            raise ConfigError(f"invalid value for {key}: {error}") from error

    @property
    def toggles(self) -> dict[str, bool]:
        """Feature toggles by name: those listed in `enable`, then those with a key of their own."""
        named = {name: True for name in self.text("feature_toggles.enable").replace(" ", ",").split(",") if name}
        prefix = "feature_toggles."
        own = {k[len(prefix) :]: self.on(k) for k in self.values if k.startswith(prefix) and k != prefix + "enable"}
        return named | own

    @property
    def base_tick(self) -> float:
        """Seconds between two looks of the alert scheduler."""
        chosen = {name.lower() for name, on in self.toggles.items() if on}
        fixed = "configurableschedulertick" not in chosen
        return BASE_TICK_SECONDS if fixed else self.seconds("unified_alerting.scheduler_tick_interval")

    @property
    def root_url(self) -> str:
        """Where Grafana believes it is reached, with a trailing slash."""
        given = self.text("server.root_url")
        if given and "%(" not in given:
            return given.rstrip("/") + "/"
        return f"{self.text('server.protocol')}://{self.text('server.domain')}:{self.text('server.http_port')}/"


def load(arguments: Iterable[str], environ: Mapping[str, str], config: str = "") -> Settings:
    """Resolve everything. Raises ConfigError for an unreadable ini or secret file and for bad numbers."""
    values = dict(DEFAULTS)
    path = config or environ.get("GF_PATHS_CONFIG", "")
    if path and (config or Path(path).is_file()):
        values |= _read_ini(Path(path))
    values |= {key: found for key in list(values) if (found := _from_environ(key, environ)) is not None}
    for name, value in environ.items():
        if name.startswith("GF_FEATURE_TOGGLES_") and name != "GF_FEATURE_TOGGLES_ENABLE":
            values["feature_toggles." + name.removeprefix("GF_FEATURE_TOGGLES_")] = value
    for word in arguments:
        key, _, value = word.removeprefix("cfg:").removeprefix("default.").partition("=")
        values[key] = value
    settings = Settings(values)
    settings.number("server.http_port")
    if settings.text("server.protocol") == "https" and not settings.text("server.cert_file"):
        raise ConfigError("cert_file cannot be empty when using HTTPS")
    if settings.seconds("unified_alerting.min_interval") % settings.base_tick:
        raise ConfigError("value of setting 'min_interval' should be times of base interval")
    return settings


def _read_ini(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False, inline_comment_prefixes=(";",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # toggles are case sensitive
    try:
        parser.read_string("[top]\n" + path.read_text())  # Grafana's own file begins without a section
    except (OSError, configparser.Error) as error:
        raise ConfigError(f"failed to parse {str(path)!r}: {error}") from error
    return {
        f"{section}.{key}": value.strip('"') for section in parser.sections() for key, value in parser[section].items()
    }


def _from_environ(key: str, environ: Mapping[str, str]) -> str | None:
    section, _, name = key.rpartition(".")
    variable = f"GF_{section}_{name}".upper().replace(".", "_").replace("-", "_")
    secret_file = environ.get(variable + "__FILE")
    if secret_file:
        try:
            return Path(secret_file).read_text().strip()
        except OSError as error:
            raise ConfigError(f"{variable}__FILE: {error}") from error
    return environ.get(variable) or None
