"""The one connection to an engine's machine: a child of this process that forwards what it is told to."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence

from harness.errors import RuntimeUnavailable, ServiceError
from harness.ports import Spawner
from harness.runtimes.child import Child
from harness.runtimes.ssh import command
from harness.runtimes.ssh.address import SshAddress
from harness.runtimes.ssh.place import Place
from harness.runtimes.ssh.refusals import MEND, explain

LOGIN_WITHIN = 20.0
"""Seconds until a login has to be over: its time to connect, and as much again for keys and proxies."""
TOLD_AFTER = 2.0
"""Seconds after which a person is told what is waited for."""
ANSWER_WITHIN = 15.0
"""Seconds in which the master, and the machine behind it, answer a request."""

Tell = Callable[[str], None]


class Master:
    """`open` it once, `close` it in the end; it ends with this process at the latest, however that ends."""

    def __init__(self, address: SshAddress, place: Place, config: str, spawner: Spawner) -> None:
        self.address, self.place = address, place
        words = command.master(address, place, config)
        self._child = Child(words, dict(os.environ), place.path, place.log, spawner)

    def open(self, tell: Tell) -> None:
        """Log in. Raises RuntimeUnavailable with the reason."""
        try:
            self._child.launch()
        except ServiceError as error:
            raise RuntimeUnavailable(f"docker engine at {self.address}: {error.message}", error.next_step) from error
        began, told = time.monotonic(), False
        while not self.place.control.exists():
            if not self._child.alive:
                raise explain(self.address, self.place.printed())
            waited = time.monotonic() - began
            if waited > LOGIN_WITHIN:
                raise RuntimeUnavailable(
                    f"docker engine at {self.address}: the login is not over after {LOGIN_WITHIN:.0f} s",
                    f"see `ssh -v {self.address.destination} true`, or {MEND}",
                )
            if waited > TOLD_AFTER and not told:
                tell(f"logging in for the docker engine at {self.address}, at most {LOGIN_WITHIN:.0f} s ...")
                told = True
            time.sleep(0.01)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the connection stands."""
        return self._child.alive

    def last_words(self) -> str:
        """How a connection that had stood ended."""
        lines = [line.strip() for line in self.place.printed().splitlines() if line.strip()]
        about = [line for line in lines if not line.startswith(("channel ", "bind ", "mux_", "Allocated port"))]
        return about[-1] if about else self._child.exit_report()

    def forward(self, *specs: str) -> str:
        """Forward each (`-L...`, `-R...`). Returns what is answered, a number for each port that the other side chose.
        Raises OSError when one of them cannot be had."""
        return self._request("forward", specs)

    def cancel(self, *specs: str) -> None:
        """Forward no more; harmless for what is not forwarded."""
        for spec in specs:
            try:
                self._request("cancel", (spec,))
            except OSError:
                continue

    def _request(self, what: str, specs: Sequence[str]) -> str:
        done = self.run(command.control(self.place, "-O", what, *specs))
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise OSError(f"ssh: {lines[0] if lines else what}")
        return done.stdout.decode()

    def run(self, words: Sequence[str], said: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """A request that was made by `command.control`, with what it is given to read. Raises OSError when there is no
        answer in time."""
        try:
            return subprocess.run(words, input=said, capture_output=True, timeout=ANSWER_WITHIN, check=False)
        except subprocess.TimeoutExpired as error:
            raise OSError(f"ssh: no answer within {ANSWER_WITHIN:.0f} s") from error

    def there(self, script: str) -> str | None:
        """What a command on the engine's machine prints; None where none may be run, or it fails."""
        try:
            done = self.run(command.control(self.place, then=[script]))
        except OSError:
            return None
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None

    def reaches(self, host: str, port: int, said: bytes) -> bool:
        """Whether something was connected to from the engine's machine, and given what is said. Raises OSError when
        there is no answer in time."""
        return self.run(command.control(self.place, "-W", f"{host}:{port}"), said).returncode == 0

    def close(self) -> None:
        """End the connection, and remove its directory."""
        try:
            self._child.kill()
        finally:
            self.place.remove()
