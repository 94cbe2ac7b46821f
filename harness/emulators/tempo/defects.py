"""The seeded defects of this emulator. Each name is one small hook at the place where such a bug would live."""

DEFECTS = {
    "dropped-span": "The last span of every push with more than one span is acknowledged and never stored.",
    "duplicate-span": "The first span of every push is stored twice.",
    "half-rejected": "A push holding one all-zero trace id stores its good spans instead of refusing the request.",
    "live-not-by-id": "A trace cannot be read by id until it was cut to the write-ahead log.",
    "wal-not-written": "Cut traces are searchable but never reach the disk, so a kill loses them.",
    "sigterm-loses-live": "A graceful stop throws live traces away instead of cutting them to the log.",
    "stuck-flush": "Idle traces are never cut, so search never sees them.",
    "wrong-tenant": "Queries read the traces of every tenant.",
    "limit-ignored": "The ingestion rate limit is never enforced.",
    "retention-never": "Blocks past their retention are kept.",
    "unanchored-regex": "TraceQL regular expressions match a part of the value instead of the whole.",
    "by-id-truncated": "Trace by id returns the first resource only.",
    "rate-off-by-step": "TraceQL rate() divides by one second instead of by the step.",
}
