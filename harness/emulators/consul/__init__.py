"""A Consul agent without Consul: catalog, health, KV, sessions, locks, blocking queries, ACL, DNS.

State lives in modules without sockets (`store`, `kv`, `sessions`, `catalog`, `acl`, `agent`); the wire is
`http` with the `api_*` route tables, and `dns`. One server, no gossip, no Raft peers.
"""
