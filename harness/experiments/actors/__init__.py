"""Actors of workloads, with the clusters that they work on: one file each, client libraries imported inside."""
