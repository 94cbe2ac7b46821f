"""/v1/kv and /v1/txn. Source: the KV store and transaction pages of the HTTP API."""

from __future__ import annotations

import base64
import re
from typing import Any

from .errors import ConsulError, PermissionDenied, bad_request, not_emulated
from .godecode import DecodeError, decode
from .http import Answer, Endpoint, Request, Routes
from .rows import Entry, to_wire
from .schemas import TXN
from .txn import TxnFailed

_UINT = re.compile(r"[0-9]+")
_RAW_HEADERS = {"Content-Type": "text/plain", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
TXN_MAX_OPERATIONS = 64


def _uint(text: str) -> int:
    """A query number as Go parses it. Raises ConsulError (500, as the real one)."""
    if not _UINT.fullmatch(text):
        raise ConsulError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) >= 2**64:
        raise ConsulError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _get(request: Request) -> Answer:
    if "keys" in request.query or "recurse" in request.query:
        return _list(request)
    if not request.rest:
        raise bad_request("Missing key name")
    if not request.authorizer.key(request.rest, "read"):
        raise PermissionDenied("key", "read", request.rest)
    index, entry = request.server.kv.get(request.rest)
    if entry is None:
        return Answer(status=404, empty=True, index=index)
    if "raw" in request.query:
        return Answer(raw=base64.b64decode(entry.value or ""), index=index, headers=dict(_RAW_HEADERS))
    return Answer([to_wire(entry)], index=index)


def _list(request: Request) -> Answer:
    index, entries = request.server.kv.under(request.rest)
    seen = [entry for entry in entries if request.authorizer.key(entry.key, "read")]
    request.authorizer.filtered = len(seen) < len(entries)
    if "keys" in request.query:
        separator = request.query.get("separator") or request.query.get("seperator") or ""
        names = _folded(seen, request.rest, separator)
        return Answer(names, index=index) if names or not request.rest else Answer(status=404, empty=True, index=index)
    if not seen:
        return Answer(status=404, empty=True, index=index)
    return Answer([to_wire(entry) for entry in seen], index=index)


def _folded(entries: list[Entry], prefix: str, separator: str) -> list[str]:
    names: dict[str, None] = {}
    for entry in entries:
        at = entry.key.find(separator, len(prefix)) if separator else -1
        names[entry.key[: at + len(separator)] if at >= 0 else entry.key] = None
    return list(names)


def _conflicting(request: Request, *flags: str) -> None:
    if sum(flag in request.query for flag in flags) > 1:
        given = "&".join(f"{flag}={request.query[flag]}" for flag in sorted(flags) if flag in request.query)
        raise bad_request(f"Conflicting flags: {given}")


def _verify_key(request: Request) -> None:
    if not request.rest:
        raise bad_request("Missing key name")
    unsafe = ".." in request.rest.split("/") or request.rest != request.rest.strip(" ")
    if request.server.settings.profile.modern and unsafe:
        raise bad_request("Invalid key name: path segments '..' and leading or trailing spaces are not allowed")


def _put(request: Request) -> Answer:
    _verify_key(request)
    _conflicting(request, "cas", "acquire", "release")
    key, query, server = request.rest, request.query, request.server
    if not request.authorizer.key(key, "write") and "acl-deny-ignored" not in server.defects:
        raise PermissionDenied("key", "write", key)
    flags = _uint(query["flags"]) if "flags" in query else 0
    value = base64.b64encode(request.body).decode()
    if "cas" in query:
        return Answer(
            server.store.commit("kv", verb="cas", key=key, value=value, flags=flags, index=_uint(query["cas"]))
        )
    verbs = {"acquire": "lock", "release": "unlock"}
    verb, session = next(((verbs[name], query[name]) for name in verbs if name in query), ("set", ""))
    if verb == "lock" and server.sessions.delayed(key):
        return Answer(False)
    return Answer(server.store.commit("kv", verb=verb, key=key, value=value, flags=flags, session=session))


def _delete(request: Request) -> Answer:
    _conflicting(request, "cas", "recurse")
    recurse = "recurse" in request.query
    if not request.rest and not recurse:
        raise bad_request("Missing key name")
    if not request.authorizer.key(request.rest, "write", below=recurse):
        raise PermissionDenied("key", "write", request.rest)
    if recurse:
        return Answer(request.server.store.commit("kv", verb="delete-tree", key=request.rest))
    if "cas" in request.query:
        index = _uint(request.query["cas"])
        # An index of 0 never matches an existing key; a key that is missing counts as deleted.
        return Answer(request.server.store.commit("kv", verb="delete-cas", key=request.rest, index=index))
    return Answer(request.server.store.commit("kv", verb="delete", key=request.rest))


def _txn(request: Request) -> Answer:
    try:
        operations = decode(request.body, TXN)
        kv = [operation["KV"] for operation in operations if operation.get("KV") is not None]
        for operation in kv:
            _verify_base64(operation.get("Value", ""))
    except DecodeError as error:
        raise bad_request(f"Failed to parse body: {error}") from None
    if len(operations) > TXN_MAX_OPERATIONS:
        text = f"Transaction contains too many operations ({len(operations)} > {TXN_MAX_OPERATIONS})"
        raise ConsulError(text, 413)
    other = [name for operation in operations if "KV" not in operation for name in operation]
    if other:
        raise not_emulated(f"transaction operation {other[0]!r}")
    meta = {"Index": 0, "LastContact": 0, "KnownLeader": True, "ConsistencyLevel": ""}
    headers = {"X-Consul-Knownleader": "true", "X-Consul-Lastcontact": "0"}
    try:
        results, reads_only = request.server.txn.run(kv, request.authorizer)
    except TxnFailed as failed:
        body: dict[str, Any] = {"Results": None, "Errors": failed.errors}
        return Answer(body | meta, status=409, headers=headers) if failed.reads_only else Answer(body, status=409)
    body = {"Results": results, "Errors": None}
    return Answer(body | meta, headers=headers) if reads_only else Answer(body)


def _verify_base64(text: str) -> None:
    alphabet = re.fullmatch(r"[A-Za-z0-9+/\r\n]*={0,2}", text)
    if alphabet and len(text.replace("\n", "").replace("\r", "")) % 4 == 0:
        return
    bad = re.search(r"[^A-Za-z0-9+/\r\n]", text)
    raise DecodeError(f"illegal base64 data at input byte {bad.start() if bad else len(text) - len(text) % 4}")


ROUTES: Routes = {
    "/v1/kv/": {
        "GET": Endpoint(_get, watch=("kvs",), meta_on_error=False),
        "PUT": Endpoint(_put, limit="kv_max_value_size"),
        "DELETE": Endpoint(_delete),
    },
    "/v1/txn": {"PUT": Endpoint(_txn, limit="txn_max_req_len")},
}
