"""/v1/kv and /v1/txn. Source: the KV store and transaction pages of the HTTP API."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from .decode import TXN, decode
from .errors import ConsulError, PermissionDenied, bad_request, not_emulated
from .http import Answer, Endpoint, Request, Routes
from .rows import Entry, to_wire
from .txn import WRITES, TxnFailed

_RAW_HEADERS = {"Content-Type": "text/plain", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
_VERBS = {"cas": "cas", "acquire": "lock", "release": "unlock"}
TXN_MAX_OPERATIONS = 64


def _uint(text: str) -> int:
    """A query number as Go parses it. Raises ConsulError (500, as the real one)."""
    if not (text.isascii() and text.isdigit()):
        raise ConsulError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) >= 2**64:
        raise ConsulError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _get(request: Request) -> Answer:
    if "keys" in request.query or "recurse" in request.query:
        return _list(request)
    key = request.named("Missing key name")
    if not request.authorizer.key(key, "read"):
        raise PermissionDenied("key", "read", key)
    index, entry = request.server.kv.get(key)
    if entry is None:
        return Answer(status=404, empty=True, index=index)
    if "raw" in request.query:
        return Answer(raw=base64.b64decode(entry.value or ""), index=index, headers=dict(_RAW_HEADERS))
    return Answer([to_wire(entry)], index=index)


def _list(request: Request) -> Answer:
    index, entries = request.server.kv.under(request.rest)
    seen = [entry for entry in entries if request.authorizer.key(entry.key, "read")]
    request.authorizer.filtered = len(seen) < len(entries)
    if not seen and (request.rest or "keys" not in request.query):
        return Answer(status=404, empty=True, index=index)
    if "keys" in request.query:
        return Answer(_folded(seen, request.rest, request.query.get("separator", "")), index=index)
    return Answer([to_wire(entry) for entry in seen], index=index)


def _folded(entries: list[Entry], prefix: str, separator: str) -> list[str]:
    names: dict[str, None] = {}
    for entry in entries:
        at = entry.key.find(separator, len(prefix)) if separator else -1
        names[entry.key[: at + len(separator)] if at >= 0 else entry.key] = None
    return list(names)


def _conflicting(request: Request, *flags: str) -> None:
    given = [f"{flag}={request.query[flag]}" for flag in sorted(flags) if flag in request.query]
    if len(given) > 1:
        raise bad_request(f"Conflicting flags: {'&'.join(given)}")


def _put(request: Request) -> Answer:
    key, query, server = request.named("Missing key name"), request.query, request.server
    if server.settings.profile.modern and (".." in key.split("/") or key != key.strip(" ")):
        raise bad_request("Invalid key name: path segments '..' and leading or trailing spaces are not allowed")
    _conflicting(request, *_VERBS)
    if not request.authorizer.key(key, "write") and "acl-deny-ignored" not in server.defects:
        raise PermissionDenied("key", "write", key)
    flags, value = _uint(query.get("flags", "0")), base64.b64encode(request.body).decode()
    option = next((name for name in _VERBS if name in query), "")
    if option == "acquire" and server.sessions.delayed(key):
        return Answer(False)
    index, session = (_uint(query["cas"]), "") if option == "cas" else (0, query.get(option, ""))
    return Answer(server.kv.apply(_VERBS.get(option, "set"), key, value, flags, index, session))


def _delete(request: Request) -> Answer:
    _conflicting(request, "cas", "recurse")
    recurse, key = "recurse" in request.query, request.rest
    if not key and not recurse:
        raise bad_request("Missing key name")
    if not request.authorizer.key(key, "write", below=recurse):
        raise PermissionDenied("key", "write", key)
    if "cas" in request.query:
        return Answer(request.server.kv.apply("delete-cas", key, index=_uint(request.query["cas"])))
    return Answer(request.server.kv.apply("delete-tree" if recurse else "delete", key))


def _txn(request: Request) -> Answer:
    operations = decode(request.body, TXN, "Failed to parse body: ")
    for operation in operations:
        _verify_base64(operation.get("KV", {}).get("Value", ""))
    if len(operations) > TXN_MAX_OPERATIONS:
        text = f"Transaction contains too many operations ({len(operations)} > {TXN_MAX_OPERATIONS})"
        raise ConsulError(text, 413)
    other = [name for operation in operations if "KV" not in operation for name in operation]
    if other:
        raise not_emulated(f"transaction operation {other[0]!r}")
    operations = [operation["KV"] for operation in operations if operation]
    reads_only = all(operation.get("Verb") not in WRITES for operation in operations)
    headers = {"X-Consul-Knownleader": "true", "X-Consul-Lastcontact": "0"} if reads_only else {}
    meta = {"Index": 0, "LastContact": 0, "KnownLeader": True, "ConsistencyLevel": ""} if reads_only else {}
    try:
        results = request.server.txn.run(operations, request.authorizer)
    except TxnFailed as failed:
        return Answer({"Results": None, "Errors": failed.errors, **meta}, status=409, headers=headers)
    return Answer({"Results": results, "Errors": None, **meta}, headers=headers)


def _verify_base64(text: Any) -> None:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise bad_request(f"Failed to parse body: illegal base64 data: {error}") from None


ROUTES: Routes = {
    "/v1/kv/": {
        "GET": Endpoint(_get, watch=("kvs",)),
        "PUT": Endpoint(_put, limit="kv_max_value_size"),
        "DELETE": Endpoint(_delete),
    },
    "/v1/txn": {"PUT": Endpoint(_txn, limit="txn_max_req_len")},
}
