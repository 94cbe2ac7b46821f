"""POST /api/ds/query and the same for alert rules: queries to their data sources, then expressions over the answers."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from functools import partial
from typing import Any

from harness.emulators.http_client import Response, fetch

from . import expressions, tempo, testdata
from .datasources import DataSources
from .errors import not_emulated, plain, public
from .frames import Answer, Span
from .site import Site
from .times import moment_ms
from .values import values_of

EXPRESSION = "__expr__"


class Queries:
    """Runs queries of one organization against their data sources."""

    def __init__(self, site: Site, datasources: DataSources) -> None:
        self._site, self._datasources = site, datasources

    async def request(self, org: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The API call: (outer status, body). 400 as soon as one result has an error. Raises request-level errors."""
        now, queries = self._site.clock(), body.get("queries")
        if not isinstance(queries, list) or not queries:
            raise public(400, "query.noQueries", "No queries found")
        start, end = moment_ms(body.get("from", "now-1h"), now), moment_ms(body.get("to", "now"), now)
        spans = [_span(query, start, end) for query in queries]
        answers = await self.run(org, list(zip(queries, spans, strict=True)))
        hidden = {query.get("refId", "A") for query in queries if query.get("hide")}
        results = {ref: answer.wire(ref) for ref, answer in answers.items() if ref not in hidden}
        return (400 if any("error" in one for one in results.values()) else 200), {"results": results}

    async def run(self, org: int, queries: list[tuple[dict[str, Any], Span]]) -> dict[str, Answer]:
        """Answers by refId. Raises the request-level errors of the API."""
        refs = [str(query.setdefault("refId", "A")) for query, _ in queries]
        if len(set(refs)) != len(refs):
            raise public(400, "query.duplicateRefId", "Multiple queries using the same RefId is not allowed ")
        sources = [self.source(org, query) for query, _ in queries]
        asked = [(q, span, s) for (q, span), s in zip(queries, sources, strict=True) if s is not None]
        found = await asyncio.gather(*(self._ask(s, q, span) for q, span, s in asked))
        answers = {q["refId"]: one for (q, _, _), one in zip(asked, found, strict=True) if one is not None}
        waiting = [query for (query, _), source in zip(queries, sources, strict=True) if source is None]
        self._evaluate(waiting, answers, set(refs))
        return {ref: answers[ref] for ref in refs if ref in answers}

    def source(self, org: int, query: dict[str, Any]) -> dict[str, Any] | None:
        """The query's data source; None for an expression. Raises 400 without one, 404 for an unknown one."""
        given = query.get("datasource")
        uid = given.get("uid") if isinstance(given, dict) else given or query.get("datasourceUid")
        if uid == EXPRESSION or (isinstance(given, dict) and given.get("type") == EXPRESSION):
            return None
        if not isinstance(uid, str) or not uid:
            raise public(400, "query.invalidDatasourceId", "Query does not contain a valid data source identifier")
        if uid in {"grafana", "-- Grafana --"}:
            raise not_emulated("the built-in Grafana data source")
        return self._datasources.stored(org, uid)

    async def _ask(self, source: dict[str, Any], query: dict[str, Any], span: Span) -> Answer | None:
        if source["type"] == "tempo":
            answer = await tempo.run(self.fetcher(source), query, span)
            down = answer.status in {502, 504} and "silent_datasource_down" in self._site.defects
            return Answer() if down else answer
        if source["type"] != "grafana-testdata-datasource":
            raise not_emulated(f"queries to data sources of type {source['type']!r}")
        return testdata.run(query, span)

    def _evaluate(self, waiting: list[dict[str, Any]], answers: dict[str, Answer], refs: set[str]) -> None:
        open_refs = {query["refId"] for query in waiting}
        while waiting:
            ready = [query for query in waiting if not open_refs & set(expressions.references(query))]
            if not ready:
                raise public(400, "sse.cyclicDependency", "the expressions depend on each other in a circle")
            for query in ready:
                answers[query["refId"]] = _expression(query, answers, refs)
                open_refs.discard(query["refId"])
            waiting = [query for query in waiting if query not in ready]

    def fetcher(self, source: dict[str, Any]) -> tempo.Fetch:
        """A function that calls this data source's url with its credentials and Grafana's timeouts."""
        settings = self._site.settings
        limits = {
            "timeout": settings.seconds("dataproxy.timeout"),
            "dial_timeout": settings.seconds("dataproxy.dialtimeout"),
        }
        return partial(_call, source, limits)


async def _call(
    source: dict[str, Any],
    limits: dict[str, float],
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Response:
    sent = {"User-Agent": "Grafana/13.2.3"} | dict(headers or {}) | _credentials(source)
    return await fetch(method, source["url"].rstrip("/") + path, sent, body, **limits)


def _credentials(source: dict[str, Any]) -> dict[str, str]:
    secrets, sent = source["secureJsonData"], {}
    if source["basicAuth"]:
        pair = f"{source['basicAuthUser']}:{secrets.get('basicAuthPassword', '')}"
        sent["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    for key, name in source["jsonData"].items():
        if key.startswith("httpHeaderName"):
            sent[str(name)] = str(secrets.get("httpHeaderValue" + key.removeprefix("httpHeaderName"), ""))
    return sent


def _span(query: dict[str, Any], start: int, end: int) -> Span:
    if not isinstance(query, dict):
        raise plain(400, "bad request data")
    return Span(start, end, int(query.get("intervalMs") or 1000), int(query.get("maxDataPoints") or 100))


def _expression(query: dict[str, Any], answers: dict[str, Answer], refs: set[str]) -> Answer:
    ref, needed = query["refId"], expressions.references(query)
    unknown = [name for name in needed if name not in refs]
    if unknown:
        text = f"[sse.dependencyError] did not execute expression [{ref}]: refId {unknown[0]} does not exist"
        return Answer(error=text, status=400)
    broken = [name for name in needed if name in answers and answers[name].error]
    if broken:
        cause = f"due to a failure of the dependent expression or query [{broken[0]}]"
        text = f"[sse.dependencyError] did not execute expression [{ref}] {cause}"
        return Answer(error=text, source=answers[broken[0]].source, status=answers[broken[0]].status)
    inputs = {name: values_of(answers[name].frames) if name in answers else [] for name in needed}
    return expressions.run(query, inputs)
