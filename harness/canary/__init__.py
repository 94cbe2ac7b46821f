"""Is a new version of a service safe to take? Pin and candidate side by side: results, latency, recovery, upgrade."""
