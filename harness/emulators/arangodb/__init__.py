"""ArangoDB 3.12: documents, AQL, indexes, stream transactions, named graphs, users."""

VERSION = "3.12.10+emu"
"""What the server reports itself to be."""
