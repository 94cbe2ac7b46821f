"""Links: the client of the fault proxy's API, ours or the Toxiproxy image's. A link is one proxy of that API.

Knows HTTP and nothing of how the proxy runs. Every call has a timeout, is made once, and reads no proxy settings and
no `.netrc` from the environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from harness.errors import FaultError

CONNECT_SECONDS = 2.0
READ_SECONDS = 10.0
POOL_SIZE = 4


@dataclass(frozen=True)
class Toxic:
    """A toxic on a link. `stream` is `downstream` (towards the client) or `upstream`; `toxicity` is 0 to 1.

    An empty `name` becomes `<type>_<stream>`.
    """

    type: str
    attributes: Mapping[str, int] = field(default_factory=dict)
    stream: str = "downstream"
    toxicity: float = 1.0
    name: str = ""


@dataclass(frozen=True)
class Proxy:
    """A link: clients connect to `listen`, it connects to `upstream`, both `host:port`."""

    name: str
    listen: str
    upstream: str
    enabled: bool = True
    toxics: tuple[Toxic, ...] = ()

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        return int(self.listen.rpartition(":")[2])


class Links:
    """Calls of the API at `url`. Each raises FaultError when the API refuses or does not answer.

    Usable from several threads, at most `POOL_SIZE` connections are kept. A context manager; `close` ends it.
    """

    def __init__(
        self, url: str, *, connect_seconds: float = CONNECT_SECONDS, read_seconds: float = READ_SECONDS
    ) -> None:
        self.url = url.rstrip("/")
        self._timeout = (connect_seconds, read_seconds)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["User-Agent"] = "harness-links"
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=POOL_SIZE, max_retries=0)
        self._session.mount("http://", adapter)

    def __enter__(self) -> Links:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the API; links stay as they are."""
        self._session.close()

    # -- the server -------------------------------------------------------------------------------------------

    def version(self) -> str:
        """The version that the API says it is."""
        return str(self._json("GET", "/version")["version"])

    def metrics(self) -> str:
        """The byte counters in Prometheus' text format."""
        return self._call("GET", "/metrics").text

    def reset(self) -> None:
        """Remove all toxics and enable all links."""
        self._call("POST", "/reset")

    # -- links ------------------------------------------------------------------------------------------------

    def all(self) -> dict[str, Proxy]:
        """Every link by name."""
        return {name: _proxy(body) for name, body in self._json("GET", "/proxies").items()}

    def get(self, name: str) -> Proxy:
        """One link with its toxics."""
        return _proxy(self._json("GET", _path(name)))

    def create(self, name: str, listen: str, upstream: str, *, enabled: bool = True) -> Proxy:
        """A new link; port 0 in `listen` becomes a free one in the answer."""
        body = {"name": name, "listen": listen, "upstream": upstream, "enabled": enabled}
        return _proxy(self._json("POST", "/proxies", body))

    def populate(self, wanted: Iterable[Proxy]) -> tuple[Proxy, ...]:
        """Create these links; those that exist with the same addresses stay untouched. Toxics are not populated."""
        bodies = [{"name": p.name, "listen": p.listen, "upstream": p.upstream, "enabled": p.enabled} for p in wanted]
        return tuple(_proxy(body) for body in self._json("POST", "/populate", bodies)["proxies"])

    def update(self, name: str, *, listen: str | None = None, upstream: str | None = None) -> Proxy:
        """Move a link to other addresses, which drops its connections. None keeps the present one."""
        wanted = {"listen": listen, "upstream": upstream}
        return self._patch(name, {key: value for key, value in wanted.items() if value is not None})

    def enable(self, name: str) -> Proxy:
        """Let clients connect again. Nothing to do if they can."""
        return self._patch(name, {"enabled": True})

    def disable(self, name: str) -> Proxy:
        """Take a link down: connecting is refused, live connections are closed."""
        return self._patch(name, {"enabled": False})

    def delete(self, name: str) -> bool:
        """Close a link and forget it. False if there was none of that name, so an undo may be repeated."""
        return self._delete(_path(name))

    # -- toxics -----------------------------------------------------------------------------------------------

    def toxics(self, name: str) -> tuple[Toxic, ...]:
        """The toxics of a link, upstream ones first."""
        return tuple(_toxic(body) for body in self._json("GET", _path(name, "toxics")))

    def add_toxic(self, name: str, toxic: Toxic) -> Toxic:
        """Add a toxic at the end of its direction, on live connections too. Returns it with its name."""
        body = {"type": toxic.type, "stream": toxic.stream, "toxicity": toxic.toxicity}
        body |= {"attributes": dict(toxic.attributes)} | ({"name": toxic.name} if toxic.name else {})
        return _toxic(self._json("POST", _path(name, "toxics"), body))

    def update_toxic(
        self, name: str, toxic: str, attributes: Mapping[str, int] | None = None, *, toxicity: float | None = None
    ) -> Toxic:
        """Change some attributes of a toxic, its toxicity, or both; the rest stays."""
        body: dict[str, Any] = {"attributes": dict(attributes or {})}
        if toxicity is not None:
            body["toxicity"] = toxicity
        return _toxic(self._json("PATCH", _path(name, "toxics", toxic), body))

    def remove_toxic(self, name: str, toxic: str) -> bool:
        """Remove a toxic. False if there was none of that name (or no such link), so an undo may be repeated."""
        return self._delete(_path(name, "toxics", toxic))

    # -- inside -----------------------------------------------------------------------------------------------

    def _patch(self, name: str, body: Mapping[str, Any]) -> Proxy:
        return _proxy(self._json("PATCH", _path(name), body))

    def _json(self, method: str, path: str, body: Any = None) -> Any:
        response = self._call(method, path, body)
        try:
            return response.json()
        except requests.JSONDecodeError as error:
            raise FaultError(f"{method} {self.url}{path} answered no JSON: {response.text[:200]!r}") from error

    def _delete(self, path: str) -> bool:
        response = self._ask("DELETE", path, None)
        # Only the API's own word that a link or toxic is not there counts, not any other 404.
        if response.status_code == 404 and _reason(response).endswith(" not found"):
            return False
        return _accepted(response).ok

    def _call(self, method: str, path: str, body: Any = None) -> requests.Response:
        return _accepted(self._ask(method, path, body))

    def _ask(self, method: str, path: str, body: Any) -> requests.Response:
        try:
            return self._session.request(
                method, self.url + path, json=body, timeout=self._timeout, allow_redirects=False
            )
        except requests.RequestException as error:
            raise FaultError(
                f"the link proxy at {self.url} does not answer {method} {path}: {error}",
                "see whether it still runs; without it no link fault can be injected or undone",
            ) from error


def _accepted(response: requests.Response) -> requests.Response:
    if response.ok:
        return response
    request = response.request
    raise FaultError(
        f"the link proxy refused {request.method} {request.url}: {_reason(response)} (HTTP {response.status_code})",
        "GET /proxies of the same address lists the links and toxics that exist",
    )


def _path(*parts: str) -> str:
    head, *rest = (quote(part, safe="") for part in parts)
    return "/".join(["/proxies", head, *rest])


def _reason(response: requests.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):  # not from the API itself: an unknown path, a proxy in between
        return response.text.strip()[:200]


def _toxic(body: Mapping[str, Any]) -> Toxic:
    return Toxic(
        type=body["type"],
        attributes=dict(body["attributes"]),
        stream=body["stream"],
        toxicity=float(body["toxicity"]),
        name=body["name"],
    )


def _proxy(body: Mapping[str, Any]) -> Proxy:
    toxics = tuple(_toxic(toxic) for toxic in body["toxics"] or ())
    return Proxy(body["name"], body["listen"], body["upstream"], body["enabled"], toxics)
