"""The request bodies, field by field as Consul's structs declare them, with Go's type names for the error texts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .godecode import Many, Struct


def _fields(**kinds: str) -> dict[str, str | Struct | Many]:
    """`string="ID Name"` is shorthand for two fields of that type; `strings` and `pairs` are []string and map."""
    types = {"strings": "[]string", "pairs": "map[string]string"}
    return {name: types.get(kind, kind) for kind, names in kinds.items() for name in names.split()}


_ALIAS_FIELDS = (
    'DeregisterCriticalServiceAfter interface {}; Args []string "json:\\"args\\""; '
    'ScriptArgsSnake []string "json:\\"script_args\\""; '
    'DeregisterCriticalServiceAfterSnake interface {} "json:\\"deregister_critical_service_after\\""; '
    'DockerContainerIDSnake string "json:\\"docker_container_id\\""; '
    'TLSSkipVerifySnake bool "json:\\"tls_skip_verify\\""; '
)
_CHECK_WHOLE = (
    "struct { Interval interface {}; Timeout interface {}; TTL interface {}; " + _ALIAS_FIELDS + "@*structs.Alias }"
)
_CHECK_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "id": "CheckID",
        "script_args": "Args",
        "deregister_critical_service_after": "DeregisterCriticalServiceAfter",
        "docker_container_id": "DockerContainerID",
        "tls_skip_verify": "TLSSkipVerify",
        "service_id": "ServiceID",
    }
)
_CHECK_FIELDS = _fields(
    string="CheckID Name Notes Status ServiceID HTTP TCP UDP GRPC Method Body DockerContainerID Shell AliasNode "
    "AliasService H2PING TLSServerName Namespace",
    strings="Args",
    bool="TLSSkipVerify GRPCUseTLS H2PingUseTLS DisableRedirects",
    int="SuccessBeforePassing FailuresBeforeCritical FailuresBeforeWarning OutputMaxSize",
    duration="Interval Timeout TTL DeregisterCriticalServiceAfter",
    any="Header",
)
CHECK = Struct(
    "",
    _CHECK_FIELDS,
    _CHECK_ALIASES,
    whole=_CHECK_WHOLE.replace("@", 'ServiceIDSnake string "json:\\"service_id\\""; '),
)
_NESTED = 'ServiceID string "json:\\"ServiceID\\""; ServiceIDSnake string "json:\\"service_id\\""; '
_SERVICE_CHECK = Struct("", _CHECK_FIELDS, _CHECK_ALIASES, whole=_CHECK_WHOLE.replace("@", _NESTED))
_WEIGHTS = Struct("Weights", _fields(int="Passing Warning"))
_SERVICE = {
    **_fields(string="Kind ID Address Namespace SocketPath", strings="Tags", pairs="Meta", int="Port"),
    **_fields(bool="EnableTagOverride", any="TaggedAddresses Proxy Connect Locality"),
    "Weights": _WEIGHTS,
}
AGENT_SERVICE = Struct(
    "",
    {**_SERVICE, "Name": "string", "Check": _SERVICE_CHECK, "Checks": Many(_SERVICE_CHECK, "structs.CheckTypes")},
    {"enable_tag_override": "EnableTagOverride", "tagged_addresses": "TaggedAddresses"},
    whole='struct { EnableTagOverrideSnake bool "json:\\"enable_tag_override\\""; '
    'TaggedAddressesSnake map[string]structs.ServiceAddress "json:\\"tagged_addresses\\""; *structs.Alias }',
)
CHECK_UPDATE = Struct("agent.checkUpdate", _fields(string="Status Output"))
_CATALOG_CHECK = Struct(
    "HealthCheck",
    _fields(
        string="Node CheckID Name Status Notes Output ServiceID ServiceName Type Namespace",
        strings="ServiceTags",
        any="Definition CreateIndex ModifyIndex Interval Timeout ExposedPort",
    ),
)
_CATALOG_SERVICE = Struct("structs.NodeService", {**_SERVICE, "Service": "string"})
CATALOG_REGISTER = Struct(
    "RegisterRequest",
    {
        **_fields(string="ID Node Address Datacenter", pairs="TaggedAddresses NodeMeta", bool="SkipNodeUpdate"),
        "Service": _CATALOG_SERVICE,
        "Check": _CATALOG_CHECK,
        "Checks": Many(_CATALOG_CHECK, "structs.HealthChecks"),
        "WriteRequest": "any",
    },
    whole="structs.RegisterRequest",
)
CATALOG_DEREGISTER = Struct(
    "",
    _fields(string="Node Address Datacenter ServiceID CheckID Namespace", any="WriteRequest"),
    whole="struct { Address string; *structs.Alias }",
)
_SERVICE_CHECKS = Many(Struct("ServiceCheck", _fields(string="ID Namespace"), strict=False), "[]structs.ServiceCheck")
SESSION = Struct(
    "",
    {
        **_fields(string="ID Name Node Behavior TTL", any="LockDelay", strings="NodeChecks"),
        "Checks": "[]types.CheckID",
        "ServiceChecks": _SERVICE_CHECKS,
    },
    strict=False,
    whole="struct { LockDelay interface {}; *structs.Alias }",
)
_KV_OP = Struct("KVTxnOp", _fields(string="Verb Key Value Session Namespace", uint64="Flags Index"))
TXN = Many(Struct("TxnOp", {"KV": _KV_OP, **_fields(any="Node Service Check Session Intention")}), "api.TxnOps")
_LINKS = Many(Struct("ACLTokenPolicyLink", _fields(string="ID Name")), "[]structs.ACLTokenPolicyLink")
TOKEN = Struct(
    "ACLToken",
    {
        **_fields(string="AccessorID SecretID Description", bool="Local", duration="ExpirationTTL"),
        **_fields(any="Roles ServiceIdentities NodeIdentities ExpirationTime CreateTime Hash Namespace"),
        **_fields(any="CreateIndex ModifyIndex Rules Type"),
        "Policies": _LINKS,
    },
)
POLICY = Struct(
    "ACLPolicy",
    _fields(string="ID Name Description Rules", strings="Datacenters", any="Hash CreateIndex ModifyIndex Namespace"),
)
