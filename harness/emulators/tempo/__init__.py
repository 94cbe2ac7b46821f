"""Grafana Tempo 3.0.3 in one process: OTLP in, trace by id, search, TraceQL and its metrics out.

State (`live_store`, `backend`, `blocks`, `limits`, `distributor`, `search`, `tags`, `query_range`, `traceql/`) knows
no sockets; `http_query`, `http_otlp`, `grpc_otlp` are the wire. Behaviour follows raw answers of the real 3.0.3.
"""

VERSION = "v3.0.3+emu"
"""What every version field reports; the suffix keeps an emulator from passing for the real server."""
