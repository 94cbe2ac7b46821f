"""The keeper's own process: `python -m harness.keeper.server --run-dir D [--owner IDENTITY] [--lifeline]`.

It leads a session of its own, so that neither Ctrl-C nor a kill of its owner's process group reaches it, and ends
with everything it owns when its owner does, however that ends.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socketserver
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, UsageError
from harness.identity import Identity
from harness.keeper import wire
from harness.keeper.breaking import HEALS, UNDO, Undo, Undos
from harness.keeper.owned import ASKED_GRACE, OwnedStack
from harness.keeper.rundir import RunDir
from harness.keeper.socketpath import address
from harness.keeper.watch import MainLoop
from harness.runtimes.child import become_subreaper

log = logging.getLogger("keeper")
ASKED = "asked to close"
OPERATIONS = frozenset({*UNDO, *HEALS, "flaws"})
Send = Callable[[dict[str, Any]], None]


class Connection(socketserver.StreamRequestHandler):
    """One client. When it disconnects, what it broke and did not heal is healed."""

    server: Server

    def handle(self) -> None:
        """Answer requests until the client goes."""
        self._sending = threading.Lock()
        with suppress(OSError):  # the client is gone, which ends the loop like the end of its lines
            for line in self.rfile:
                self._answer(line)
        self._heal(self.server.undos.take(id(self)), "client gone")

    def _heal(self, undos: list[Undo], why: str) -> list[str]:
        """Run these undos. Returns those that failed, in words."""
        failed = []
        for target, verb in undos:
            log.info("%s: %s %s", why, verb, target)
            try:
                self.server.owned.operate(verb, target, {"wait": False})
            except Exception as error:  # the other undos are tried all the same
                log.exception("healing %s failed", target)
                failed.append(f"{verb} {target}: {error}")
        return failed

    def _answer(self, line: bytes) -> None:
        try:
            answer = {"ok": self._perform(_request(line))}
        except Exception as error:  # the client raises it again; the keeper goes on
            if not isinstance(error, HarnessError):
                log.exception("request %s failed", line[:200])
            answer = {"error": wire.error_to_wire(error)}
        self._send(answer)

    def _send(self, message: dict[str, Any]) -> None:
        """One line. Services that start at once tell their progress from threads of their own."""
        with self._sending:
            self.wfile.write(wire.encode(message))
            self.wfile.flush()

    def _perform(self, request: dict[str, Any]) -> Any:
        operation, owned = request["op"], self.server.owned
        match operation:
            case "hello":
                return {"pid": os.getpid(), "run": self.server.run_dir.run}
            case "start":
                return owned.start(request, lambda event: self._send({"event": event}))
            case "status":
                return owned.statuses()
            case "about":
                return owned.about()
            case "usage":
                return owned.usage()
            case "plan":
                return owned.plan()
            case "keep":
                self.server.loop.release()
                return True
            case "close":
                self.server.loop.end(ASKED)
                return self.server.closed()
            case "links":
                return owned.links_to_wire()
            case "open_link":
                return owned.open_link(request)
            case "called_at":
                return owned.called_at(request["port"])
            case "called_no_more":
                return owned.called_no_more(request["port"])
            case "broken":
                return self.server.undos.active()
            case "heal":
                return self._heal(self.server.undos.take(), "asked to heal")
            case _ if operation.removesuffix("_service") in OPERATIONS:
                return self._operate(operation.removesuffix("_service"), request["service"], request)
            case _:
                raise UsageError(f"the keeper knows no operation {operation!r}")

    def _operate(self, verb: str, target: str, request: dict[str, Any]) -> Any:
        """The undo is noted before the operation, and forgotten only when it has been healed."""
        if verb in UNDO:
            self.server.undos.note(id(self), target, verb)
        answer = self.server.owned.operate(verb, target, request)
        if verb in HEALS:
            self.server.undos.note(id(self), target, verb)
        return answer


def _request(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except ValueError as error:
        raise UsageError(f"not a request: {line[:60]!r}: expected one JSON object per line") from error
    if not isinstance(request, dict) or "op" not in request:
        raise UsageError(f"not a request: {line[:60]!r}: expected a JSON object with `op`")
    return request


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Listens on the run directory's socket."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, run_dir: RunDir, loop: MainLoop) -> None:
        self.run_dir, self.loop = run_dir, loop
        self.owned = OwnedStack(run_dir, loop)
        self.undos = Undos()
        self._gone = threading.Event()
        self._left: list[str] = []
        old = os.umask(0o177)
        try:
            with address(unfinished := run_dir.path / "s.new") as name:
                super().__init__(name, Connection)
        finally:
            os.umask(old)
        unfinished.rename(run_dir.socket)  # nobody finds a socket that does not listen yet

    def closed(self) -> list[str]:
        """Wait until everything is gone, and say what is not."""
        self._gone.wait(30)
        return self._left

    def finish(self, left: list[str]) -> None:
        """Everything was closed."""
        self._left = left
        self._gone.set()


def main(argv: list[str] | None = None) -> int:
    """Own a stack until the owner is gone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--owner", default="", help="identity of the process to live for; none for ever")
    parser.add_argument("--lifeline", action="store_true", help="standard input is a pipe that the owner holds")
    arguments = parser.parse_args(argv)
    owner = Identity.from_json(arguments.owner) if arguments.owner else None
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    become_subreaper()
    return _own(RunDir(arguments.run_dir), MainLoop(owner, 0 if arguments.lifeline else None))


def _own(run_dir: RunDir, loop: MainLoop) -> int:
    signal.signal(signal.SIGTERM, lambda *_: loop.end("SIGTERM"))
    run_dir.owner.write_text(Identity.mine().to_json())
    server = Server(run_dir, loop)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    reason = loop.run()
    log.info("closing: %s", reason)
    left = server.owned.close(loop, grace=ASKED_GRACE if reason == ASKED else 0.0)
    server.finish(left)
    log.info("closed; left behind: %s", left or "nothing")
    _say_goodbye(server)
    run_dir.remove()
    return 0


def _say_goodbye(server: Server) -> None:
    """Let the thread that answers `close` send its line before the process ends."""
    server.shutdown()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and "process_request" in thread.name:
            thread.join(0.2)


if __name__ == "__main__":
    raise SystemExit(main())
