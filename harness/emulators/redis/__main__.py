"""`python -m harness.emulators.redis`, taking redis-server's command line."""

from __future__ import annotations

import signal
import sys
import threading

from harness.emulators.runner import ConfigError, guard_host, refuse


def main(argv: list[str]) -> int:
    """Serve until SIGTERM or SIGINT."""
    from harness.emulators.redis.options import read_options
    from harness.emulators.redis.server import VERSION, EmulatedRedis

    if argv in (["--version"], ["-v"]):
        print(f"Redis server v={VERSION} sha=00000000:0 malloc=python bits=64 build=0")
        return 0
    try:
        options = read_options(argv)
    except ConfigError as error:
        refuse(str(error))
    try:
        server = EmulatedRedis((guard_host(options.host), options.port), options.password)
    except OSError as error:
        refuse(f"Could not create server TCP listening socket {options.host}:{options.port}: bind: {error.strerror}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print("* Ready to accept connections tcp", file=sys.stderr, flush=True)
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
