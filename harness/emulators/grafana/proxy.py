"""The data source proxy and the data source's own health and resources: the routes that pass requests on."""

from __future__ import annotations

from typing import Any

from harness.emulators.http_client import TimedOut, Unreachable

from . import tempo
from .datasources import DataSources
from .errors import not_emulated, plain, public
from .http import Reply, Request, json_reply
from .query import Queries

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length"})
KEPT_BACK = HOP_BY_HOP | {"host", "authorization", "cookie", "x-grafana-org-id", "accept-encoding", "origin", "referer"}
"""Request headers that are Grafana's own business."""
TESTDATA = "grafana-testdata-datasource"


class Proxy:
    """Calls data sources by their url."""

    def __init__(self, datasources: DataSources, queries: Queries) -> None:
        self._datasources, self._queries = datasources, queries

    async def forward(self, request: Request) -> Reply:
        """ANY /api/datasources/proxy/uid/{uid}/*: 502 and 504 come with an empty body."""
        source = self._datasources.stored(request.org, request.params["uid"])
        if source["access"] != "proxy" or not source["url"]:
            raise plain(500, "Failed creating data source proxy")
        headers = {name.title(): value for name, value in request.headers.items() if name not in KEPT_BACK}
        path = "/" + request.params.get("rest", "") + (f"?{request.raw_query}" if request.raw_query else "")
        fetch = self._queries.fetcher(source)
        try:
            answer = await fetch(request.method, path, headers, request.body)
        except TimedOut:
            return Reply(504)
        except Unreachable:
            return Reply(502)
        passed = [(k, v) for k, v in answer.headers if k not in HOP_BY_HOP | {"set-cookie", "date"}]
        return Reply(answer.status, answer.body, passed)

    async def health(self, request: Request) -> Reply | dict[str, Any]:
        """GET /uid/{uid}/health: 200 OK or 400 ERROR."""
        source = self._datasources.stored(request.org, request.params["uid"])
        if source["type"] == TESTDATA:
            return {"status": "OK", "message": "Data source is working"}
        if source["type"] != "tempo":
            raise not_emulated(f"health of data sources of type {source['type']!r}")
        status, body = await tempo.health(self._queries.fetcher(source))
        if status != 200:
            return json_reply(status, body)
        return body

    async def resource(self, request: Request) -> Reply:
        """ANY /uid/{uid}/resources/*: Tempo's tags and tag values."""
        source = self._datasources.stored(request.org, request.params["uid"])
        found = None
        if source["type"] == "tempo":
            found = await tempo.resource(self._queries.fetcher(source), request.params.get("rest", ""), request.query)
        if found is None:
            raise public(404, "plugin.notImplemented", "Method not implemented")
        status, content_type, body = found
        return Reply(status, body, [("Content-Type", content_type)])
