"""`python -m harness.proxy`."""

from harness.proxy.server import main

if __name__ == "__main__":
    raise SystemExit(main())
