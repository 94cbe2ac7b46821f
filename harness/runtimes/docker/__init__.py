"""The docker runtime: services as containers, through Testcontainers. Only here are it and docker's client imported.

Nobody outside imports anything but `runtime` (started by the keeper) and what asks: `engine`, `engines`, `asking`,
`way_back`.
"""
