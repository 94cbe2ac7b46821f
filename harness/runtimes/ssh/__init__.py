"""Engines on other machines, by OpenSSH's own client: its configuration, agent and known hosts are the user's.

Nothing here knows docker. An engine's socket there becomes a socket here; ports are forwarded both ways.
"""
