"""Targets of faults that write down what is done to them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.credentials import Secret
from harness.model import Endpoint, Fidelity, Source


@dataclass
class Target:
    """A handle that has every capability, or a link: faults do not mind being shown too much."""

    at: Endpoint
    name: str = "cache"
    kind: str | None = None
    done: list[str] = field(default_factory=list)
    toxics: list[str] = field(default_factory=list)
    fidelity: Fidelity = field(default_factory=lambda: Fidelity(Source.BINARY))
    credentials: Mapping[str, Secret] = field(default_factory=dict)
    log: Path = Path()

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        return {self.at.name: self.at}

    def endpoint(self, name: str = "") -> Endpoint:
        return self.at

    def kill(self) -> None:
        self.done.append("kill")

    def start(self, wait: bool = True) -> None:
        self.done.append(f"start wait={wait}")

    def stop(self, grace: float | None = None) -> None:
        self.done.append(f"stop {grace}")

    def restart(self) -> None:
        self.done.append("restart")

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")

    def isolate(self) -> None:
        self.done.append("isolate")

    def rejoin(self) -> None:
        self.done.append("rejoin")

    def misconfigure(self, word: str) -> None:
        self.done.append(f"misconfigure {word}")

    def reconfigure(self) -> None:
        self.done.append("reconfigure")

    def fill_disk(self) -> None:
        self.done.append("fill_disk")

    def free_disk(self) -> None:
        self.done.append("free_disk")

    def lose_packets(self, percent: float) -> None:
        self.done.append(f"lose_packets {percent}")

    def keep_packets(self) -> None:
        self.done.append("keep_packets")

    def squeeze(self, share: float) -> None:
        self.done.append(f"squeeze {share}")

    def release(self) -> None:
        self.done.append("release")


@dataclass
class Link:
    """A link that is only a list of flaws."""

    at: Endpoint
    name: str = "edge"
    done: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def endpoint(self) -> Endpoint:
        return self.at

    def poison(self, toxic: str, stream: str, attributes: Mapping[str, int]) -> str:
        self.broken.append(f"{toxic}_{stream}")
        self.done.append(f"{toxic} {stream} {dict(attributes)}")
        return self.broken[-1]

    def cut(self) -> None:
        self.broken.append("down")
        self.done.append("cut")

    def mend(self) -> None:
        self.broken.clear()
        self.done.append("mend")

    def flaws(self) -> tuple[str, ...]:
        return tuple(self.broken)


@contextmanager
def server(answer: bytes = b"+PONG\r\n", most: int = 10_000) -> Iterator[Endpoint]:
    """Says `answer` to whatever it is told, as a Redis would; turns away who comes after `most` others."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with connection:
            while connection.recv(100):
                connection.sendall(answer)
        held.remove(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if len(held) >= most:
                connection.sendall(b"-ERR max number of clients reached\r\n")
                connection.close()
                continue
            held.append(connection)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield Endpoint("redis", "127.0.0.1", listener.getsockname()[1], "redis")
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(2)
