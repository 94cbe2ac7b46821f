"""Probes: one question each, and `poll`, which asks until the answer is yes or the deadline has come."""
