"""Toxiproxy's HTTP API over a collection. Only translation: what it means stands in collection, proxy and chain."""

from __future__ import annotations

import json
from typing import Any, cast

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from harness.proxy import metrics
from harness.proxy.body import Body, as_object
from harness.proxy.collection import Collection, PopulateError
from harness.proxy.errors import ApiError, bad_body
from harness.proxy.proxy import Proxy

VERSION = "2.12.0+harness"
"""The API that is spoken, marked as not being the original."""


class StopBrowsers:
    """Refuse browsers, so that no web page can drive the proxy behind its user's back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """403 for anything that introduces itself as Mozilla."""
        agents = [value for key, value in scope.get("headers", ()) if key == b"user-agent"]
        if any(agent.startswith(b"Mozilla/") for agent in agents):
            await PlainTextResponse("User agent not allowed\n", 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def build_app(collection: Collection) -> Starlette:
    """The API as an ASGI application."""
    api = _Api(collection)
    update = ["POST", "PATCH"]
    return Starlette(
        routes=[
            Route("/reset", api.reset, methods=["POST"]),
            Route("/proxies", api.list_proxies, methods=["GET"]),
            Route("/proxies", api.create_proxy, methods=["POST"]),
            Route("/populate", api.populate, methods=["POST"]),
            Route("/proxies/{proxy}", api.show_proxy, methods=["GET"]),
            Route("/proxies/{proxy}", api.update_proxy, methods=update),
            Route("/proxies/{proxy}", api.delete_proxy, methods=["DELETE"]),
            Route("/proxies/{proxy}/toxics", api.list_toxics, methods=["GET"]),
            Route("/proxies/{proxy}/toxics", api.add_toxic, methods=["POST"]),
            Route("/proxies/{proxy}/toxics/{toxic}", api.show_toxic, methods=["GET"]),
            Route("/proxies/{proxy}/toxics/{toxic}", api.update_toxic, methods=update),
            Route("/proxies/{proxy}/toxics/{toxic}", api.remove_toxic, methods=["DELETE"]),
            Route("/version", api.version, methods=["GET"]),
            Route("/metrics", api.metrics, methods=["GET"]),
        ],
        middleware=[Middleware(StopBrowsers)],
        exception_handlers={ApiError: _refuse, PopulateError: _refuse_populate},
    )


async def _refuse(_: Request, error: Exception) -> Response:
    refusal = cast(ApiError, error)
    return JSONResponse(refusal.as_json(), refusal.status)


async def _refuse_populate(_: Request, error: Exception) -> Response:
    refusal = cast(PopulateError, error)
    proxies = [proxy.as_json() for proxy in refusal.done]
    return JSONResponse({**refusal.cause.as_json(), "proxies": proxies}, refusal.cause.status)


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise bad_body(str(error)) from None


async def _object(request: Request) -> Body:
    return as_object(await _json(request))


class _Api:
    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def reset(self, _: Request) -> Response:
        await self._collection.reset()
        return Response(status_code=204)

    async def list_proxies(self, _: Request) -> Response:
        return JSONResponse({proxy.name: proxy.as_json() for proxy in self._collection.proxies})

    async def create_proxy(self, request: Request) -> Response:
        proxy = await self._collection.create(await _object(request))
        return JSONResponse(proxy.as_json(), 201)

    async def populate(self, request: Request) -> Response:
        try:
            body = await _json(request)
            if not isinstance(body, list):
                raise bad_body(f"expected a list of proxies, not {type(body).__name__}")
        except ApiError as error:
            raise PopulateError(error, ()) from error
        proxies = await self._collection.populate(body)
        return JSONResponse({"proxies": [proxy.as_json() for proxy in proxies]}, 201)

    async def show_proxy(self, request: Request) -> Response:
        return JSONResponse(self._proxy(request).as_json())

    async def update_proxy(self, request: Request) -> Response:
        name = self._proxy(request).name  # an unknown proxy is told before a bad body, as upstream does
        proxy = await self._collection.update(name, await _object(request))
        return JSONResponse(proxy.as_json())

    async def delete_proxy(self, request: Request) -> Response:
        await self._collection.remove(request.path_params["proxy"])
        return Response(status_code=204)

    async def list_toxics(self, request: Request) -> Response:
        return JSONResponse([entry.as_json() for entry in self._proxy(request).chain.entries])

    async def add_toxic(self, request: Request) -> Response:
        proxy = self._proxy(request)
        return JSONResponse(proxy.chain.add(await _object(request)).as_json())

    async def show_toxic(self, request: Request) -> Response:
        return JSONResponse(self._proxy(request).chain.get(request.path_params["toxic"]).as_json())

    async def update_toxic(self, request: Request) -> Response:
        chain = self._proxy(request).chain
        name = chain.get(request.path_params["toxic"]).name
        return JSONResponse(chain.update(name, await _object(request)).as_json())

    async def remove_toxic(self, request: Request) -> Response:
        self._proxy(request).chain.remove(request.path_params["toxic"])
        return Response(status_code=204)

    async def version(self, _: Request) -> Response:
        return JSONResponse({"version": VERSION})

    async def metrics(self, _: Request) -> Response:
        return Response(metrics.render(self._collection.proxies), media_type=metrics.CONTENT_TYPE)

    def _proxy(self, request: Request) -> Proxy:
        return self._collection.get(request.path_params["proxy"])
