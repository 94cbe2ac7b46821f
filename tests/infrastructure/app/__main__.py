"""`python -m app`: serve until SIGTERM, then leave the registry, export what is left, and end."""

from __future__ import annotations

import os
import signal
import threading

from .catalogue import Catalogue
from .registry import start_watching
from .server import Server
from .settings import read
from .telemetry import Telemetry


def main() -> None:
    """One instance."""
    settings = read(os.environ)
    telemetry = Telemetry(settings)
    catalogue = Catalogue(settings, telemetry)
    server = Server((settings.host, settings.port), catalogue, telemetry)
    port = server.server_address[1]
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    try:
        catalogue.store.prepare()
    except Exception as error:  # it starts without its store, and says so in `/ready`
        telemetry.log("store failed", level="error", error=str(error))
    start_watching(catalogue.registry)
    catalogue.registry.register(port)
    telemetry.log("listening", port=port)
    server.serve_forever(0.05)
    catalogue.registry.deregister()
    telemetry.close()
    telemetry.log("ended")


if __name__ == "__main__":
    main()
