"""The two versions that are emulated, and what differs between them on the wire.

Sources: answers of a real 1.8.7 for the first; the upgrade notes and API pages of 1.22 for the second.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.emulators.runner import ConfigError


@dataclass(frozen=True)
class Profile:
    """Version-dependent behaviour. `modern` stands for everything that changed between 1.9 and 1.22."""

    version: str
    modern: bool
    limits_url: str

    @property
    def reported(self) -> str:
        """The version as the API says it: never mistakable for a real server's."""
        return f"{self.version}+emu"

    def unknown_path(self, path: str) -> str:
        """The body of a 404 for a path that no endpoint owns (older: empty)."""
        if not self.modern:
            return ""
        if path.startswith("/v1/"):
            return "Invalid URL path: not a recognized HTTP API endpoint"
        return "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'"


PROFILES = {
    "1.8": Profile("1.8.7", modern=False, limits_url="https://www.consul.io/docs/agent/options.html#"),
    "1.22": Profile(
        "1.22.0", modern=True, limits_url="https://developer.hashicorp.com/docs/agent/config/config-files#"
    ),
}


def profile_named(name: str) -> Profile:
    """The profile called `1.8` or `1.22`. Raises ConfigError naming both for anything else."""
    if name not in PROFILES:
        raise ConfigError(f"unknown Consul profile {name!r}; known: {', '.join(PROFILES)}")
    return PROFILES[name]
