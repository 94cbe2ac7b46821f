"""An emulated single ArangoDB 3.12 server: HTTP API, documents, indexes, graphs, stream transactions and AQL."""
