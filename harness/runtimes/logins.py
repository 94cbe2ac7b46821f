"""Logins of registries, where `docker login` keeps them: in docker's configuration file, or with a credential helper.

Source: docker's command line, "docker login", "Credential helper protocol". For one registry `credHelpers` comes first,
then `credsStore` for all others; only without either does the file itself hold logins. A helper is a program
`docker-credential-NAME` on PATH: `get`, the registry on standard input, JSON on standard output.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import RuntimeUnavailable
from harness.runtimes.images import HUB

HELPER_SECONDS = 30.0
"""A helper may have to renew a token with its provider."""
HUB_KEY = "https://index.docker.io/v1/"
IDENTITY = "<token>"
"""The user name beside an identity token, which would have to be traded for a registry's own."""
NOT_FOUND = "credentials not found in native keychain"
Login = tuple[str, str]


def stored_login(host: str) -> Login | None:
    """User and password for a registry, None where nobody logged in. Raises RuntimeUnavailable when a helper fails."""
    data = _configuration()
    key = HUB_KEY if host == HUB else host
    helper = _text(data, "credHelpers", key) or _text(data, "credHelpers", _host_of(key)) or data.get("credsStore")
    return _from_helper(str(helper), key) if helper else _from_file(data.get("auths"), _host_of(key))


def _configuration() -> Mapping[str, Any]:
    """DOCKER_CONFIG moves it. Absent, or not in a form that we read: nothing is configured."""
    file = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _text(data: Mapping[str, Any], section: str, key: str) -> str:
    found = data.get(section)
    return str(found.get(key) or "") if isinstance(found, dict) else ""


def _from_file(auths: Any, wanted: str) -> Login | None:
    """Keys are `HOST` or `https://HOST/v1/`, values base64 of `user:password`."""
    try:
        coded = [entry.get("auth", "") for key, entry in auths.items() if _host_of(key) == wanted]
        user, colon, password = base64.b64decode("".join(coded[:1])).decode(errors="replace").partition(":")
    except (ValueError, TypeError, AttributeError):
        return None
    return (user, password) if colon else None


def _from_helper(name: str, key: str) -> Login | None:
    """What the helper has for this registry. What it prints is never shown unless it is its refusal."""
    program = shutil.which(f"docker-credential-{name}") if re.fullmatch(r"[\w.-]+", name) else None
    if program is None:
        raise RuntimeUnavailable(f"login for {key}: no docker-credential-{name} on PATH", _SEE)
    try:
        done = subprocess.run(
            [program, "get"], input=key, capture_output=True, text=True, timeout=HELPER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeUnavailable(f"login for {key}: {Path(program).name}: {type(error).__name__}", _SEE) from error
    if done.returncode:
        said = (done.stdout.strip() or done.stderr.strip() or f"exit code {done.returncode}").splitlines()[0]
        if said == NOT_FOUND:
            return None
        raise RuntimeUnavailable(f"login for {key}: {Path(program).name}: {said[:200]}", _SEE)
    return _read(done.stdout, key, Path(program).name)


_SEE = "see `credHelpers` and `credsStore` in docker's config.json, or log in again"


def _read(printed: str, key: str, program: str) -> Login | None:
    try:
        answer = json.loads(printed)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise RuntimeUnavailable(f"login for {key}: {program}: what it printed is no login", _SEE) from error
    if user == IDENTITY:
        raise RuntimeUnavailable(f"login for {key}: {program} has an identity token", "log in with user and password")
    return (user, secret) if user else None


def _host_of(key: str) -> str:
    return key.rpartition("://")[2].partition("/")[0]
