"""All proxies of a server, by name, and the operations that start, stop and replace them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from harness.proxy.body import Body, as_object, flag, name, text
from harness.proxy.errors import ApiError, Problem
from harness.proxy.proxy import Proxy, Rules


class PopulateError(Exception):
    """A populate that could not finish: the refusal, and the proxies that are there nevertheless."""

    def __init__(self, cause: ApiError, done: Sequence[Proxy]) -> None:
        super().__init__(cause.message)
        self.cause = cause
        self.done = tuple(done)


class Collection:
    """Every operation that awaits holds one lock, so two requests never start, stop or replace at the same time."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._proxies: dict[str, Proxy] = {}
        self._lock = asyncio.Lock()

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        """All proxies, by name."""
        return tuple(self._proxies[name] for name in sorted(self._proxies))

    def get(self, name: str) -> Proxy:
        """The proxy of that name. Raises ApiError (404)."""
        if name not in self._proxies:
            raise ApiError(Problem.PROXY_NOT_FOUND)
        return self._proxies[name]

    async def create(self, body: Body) -> Proxy:
        """A new proxy, listening unless `enabled` is false. Raises ApiError (400, 409, or 500 if it cannot listen)."""
        proxy, enabled = self._read(body)
        async with self._lock:
            if proxy.name in self._proxies:
                raise ApiError(Problem.PROXY_EXISTS)
            if enabled:
                await proxy.start()
            self._proxies[proxy.name] = proxy
        return proxy

    async def populate(self, bodies: Sequence[Any]) -> tuple[Proxy, ...]:
        """Create these proxies, leaving alone those whose addresses agree and replacing those whose do not.

        All bodies are checked before anything is touched. Raises PopulateError.
        """
        done: list[Proxy] = []
        try:
            wanted = [self._read(as_object(body), f" at proxy {number}") for number, body in enumerate(bodies, 1)]
            async with self._lock:
                for proxy, enabled in wanted:
                    done.append(await self._place(proxy, enabled))
        except ApiError as error:
            raise PopulateError(error, done) from error
        return tuple(done)

    async def update(self, name: str, body: Body) -> Proxy:
        """Change addresses (which drops connections) or `enabled`. Raises ApiError (400, 404, 500)."""
        async with self._lock:
            proxy = self.get(name)
            listen = text(body, "listen", proxy.listen)
            upstream = text(body, "upstream", proxy.upstream)
            enabled = flag(body, "enabled", proxy.enabled)
            if proxy.differs(listen, upstream):
                await proxy.move(listen, upstream)
            await (proxy.start() if enabled else proxy.stop())
        return proxy

    async def remove(self, name: str) -> None:
        """Stop a proxy and forget it. Raises ApiError (404)."""
        async with self._lock:
            await self.get(name).stop()
            del self._proxies[name]

    async def reset(self) -> None:
        """Remove all toxics, then enable all proxies. Raises the first ApiError after having tried every one."""
        refusals: list[ApiError] = []
        async with self._lock:
            for proxy in self.proxies:
                proxy.chain.clear()
            for proxy in self.proxies:
                try:
                    await proxy.start()
                except ApiError as error:
                    refusals.append(error)
        if refusals:
            raise refusals[0]

    async def clear(self) -> None:
        """Stop and forget everything."""
        async with self._lock:
            for proxy in self.proxies:
                await proxy.stop()
            self._proxies.clear()

    async def _place(self, proxy: Proxy, enabled: bool) -> Proxy:
        present = self._proxies.get(proxy.name)
        if present is not None:
            if not present.differs(proxy.listen, proxy.upstream):
                return present
            await present.stop()
        if enabled:
            await proxy.start()
        self._proxies[proxy.name] = proxy
        return proxy

    def _read(self, body: Body, where: str = "") -> tuple[Proxy, bool]:
        called = name(body)
        upstream = text(body, "upstream", "")
        for key, value in (("name", called), ("upstream", upstream)):
            if not value:
                raise ApiError(Problem.MISSING_FIELD, key + where)
        return Proxy(called, text(body, "listen", ""), upstream, self._rules), flag(body, "enabled", True)
