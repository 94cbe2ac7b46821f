"""A program `ssh` that logs in nowhere, and yet forwards: loopback "there" is 127.0.0.2, its other addresses 127.0.0.3.

Started by `ssh_rig`. Beside it lie `behaviour.json` (what it does otherwise) and `calls.jsonl` (what it was called
with).
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

HOME = Path(sys.argv[0]).parent
THERE, GATEWAY = "127.0.0.2", "127.0.0.3"


def main(words: list[str]) -> int:
    """The master, or a request to it."""
    behaviour: dict[str, Any] = json.loads((HOME / "behaviour.json").read_text())
    with (HOME / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(words) + "\n")
    control = words[words.index("-S") + 1]
    if "-M" in words:
        return master(control, behaviour)
    if "-O" in words:
        at = words.index("-O") + 1
        return ask(control, {"verb": words[at], "specs": words[at + 1 : -1]})
    if "-W" in words:
        return through(words[words.index("-W") + 1], behaviour)
    sys.stdout.write(behaviour.get("there", ""))
    return 0 if "there" in behaviour else 255


def master(control: str, behaviour: dict[str, Any]) -> int:
    """Listen for requests, until killed."""
    time.sleep(behaviour.get("hang", 0))
    sys.stderr.write(behaviour.get("say", ""))
    sys.stderr.flush()
    if "code" in behaviour:
        return int(behaviour["code"])
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(control)
    listener.listen(64)
    forwards: dict[str, list[socket.socket]] = {}
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rw") as file:
            file.write(json.dumps(answer(json.loads(file.readline()), forwards, behaviour)))


def answer(request: dict[str, Any], forwards: dict[str, list[socket.socket]], behaviour: dict[str, Any]) -> Any:
    """What one request comes to: ports that were chosen, or an error."""
    chosen = []
    for spec in request["specs"]:
        if request["verb"] == "cancel":
            for one in forwards.pop(spec, []):
                one.shutdown(socket.SHUT_RDWR)
                one.close()
            continue
        try:
            forwards[spec] = listeners(spec, behaviour)
        except OSError as error:
            sys.stderr.write(f"bind: {error.strerror}\n")
            return {"error": "mux_client_forward: forwarding request failed: Port forwarding failed"}
        if spec.startswith("-R"):
            chosen.append(str(forwards[spec][0].getsockname()[1]))
    return {"said": "".join(f"{port}\n" for port in chosen)}


def listeners(spec: str, behaviour: dict[str, Any]) -> list[socket.socket]:
    """The listening sockets of one forward."""
    kind, parts = spec[:2], spec[2:].split(":")
    if parts[0].startswith("/"):
        return [serve(parts[0], parts[1])]
    host, port, target = parts[0], int(parts[1]), (parts[2], int(parts[3]))
    if kind == "-L":
        return [serve((host, port), (THERE, target[1]))]
    match behaviour.get("gateway_ports", "clientspecified"):
        case "clientspecified":
            return [serve((GATEWAY, port), target)]
        case "no":
            return [serve((THERE, port), target)]
        case "yes":
            first = serve((THERE, port), target)
            return [first, serve((GATEWAY, first.getsockname()[1]), target)]
    raise OSError(13, "Permission denied")


def serve(place: Any, target: Any) -> socket.socket:
    """Listen, and pass each connection on."""
    family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(place)
    listener.listen(64)
    threading.Thread(target=accept, args=(listener, target), daemon=True).start()
    return listener


def accept(listener: socket.socket, target: Any) -> None:
    """Until it is closed."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        other = socket.socket(socket.AF_UNIX if isinstance(target, str) else socket.AF_INET)
        try:
            other.connect(target)
        except OSError:
            sys.stderr.write("channel 1: open failed: connect failed: open failed\n")
            sys.stderr.flush()
            connection.close()
            continue
        for one, two in ((connection, other), (other, connection)):
            threading.Thread(target=copy, args=(one, two), daemon=True).start()


def copy(one: socket.socket, two: socket.socket) -> None:
    """Until one side has no more to say."""
    try:
        while data := one.recv(65536):
            two.sendall(data)
        two.shutdown(socket.SHUT_WR)
    except OSError:
        return


def ask(control: str, request: Any) -> int:
    """Have the master do something."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(control)
        with client.makefile("rw") as file:
            file.write(json.dumps(request) + "\n")
            file.flush()
            said = json.loads(file.readline())
    sys.stderr.write(said.get("error", ""))
    sys.stdout.write(said.get("said", ""))
    return 255 if "error" in said else 0


def through(place: str, behaviour: dict[str, Any]) -> int:
    """`-W`: standard input to an address there."""
    host, _, port = place.partition(":")
    there = THERE if host == "127.0.0.1" else GATEWAY
    if behaviour.get("same_machine") and host == "127.0.0.1":
        there = host
    try:
        with socket.create_connection((there, int(port)), 2) as connection:
            connection.sendall(sys.stdin.buffer.read())
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
    except OSError:
        return 255
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
