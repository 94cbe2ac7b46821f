"""All endpoints in one table, and the real ones that are missing from it."""

from __future__ import annotations

from . import api_acl, api_agent, api_catalog, api_cluster, api_kv, api_session
from .app import App
from .http import Routes
from .server import Server

NOT_EMULATED = (
    *("/v1/agent/connect/", "/v1/agent/force-leave/", "/v1/agent/host", "/v1/agent/join/", "/v1/agent/leave"),
    *("/v1/agent/metrics", "/v1/agent/monitor", "/v1/agent/reload", "/v1/catalog/connect/", "/v1/config"),
    *("/v1/catalog/gateway-services/", "/v1/connect/", "/v1/coordinate/", "/v1/discovery-chain/"),
    *("/v1/health/connect/", "/v1/health/ingress/", "/v1/internal/", "/v1/operator/keyring"),
    *("/v1/operator/raft/peer", "/v1/query", "/ui/"),
)
"""Real endpoints that answer 501 here. A path that is in no table at all answers 404 as the real one does."""

NOT_EMULATED_MODERN = (
    *("/v1/operator/raft/transfer-leader", "/v1/operator/usage", "/v1/operator/autopilot/state", "/v1/peering"),
    *("/v1/exported-services", "/v1/imported-services"),
)
"""Those that 1.8 does not know either."""


def all_routes() -> Routes:
    """Every emulated path with its methods."""
    parts = (api_kv, api_session, api_catalog, api_agent, api_cluster, api_acl)
    return {path: methods for part in parts for path, methods in part.ROUTES.items()}


def build_app(server: Server) -> App:
    """The HTTP application of one server."""
    gaps = NOT_EMULATED + (NOT_EMULATED_MODERN if server.settings.profile.modern else ())
    return App(server, all_routes(), gaps)
