"""The reference service: a small catalogue of items, built the way the platform expects a service to be built.

    PYTHONPATH=tests/infrastructure APP_NAME=catalogue APP_HOST=127.0.0.1 ... python -m app

ArangoDB is its store and it cannot do without; Redis is its cache and it can. Every request is a trace, a log line
and a measurement that name each other. It knows nothing of the harness: `settings.py` lists all it is told.
"""
