"""Load: steady use over time, and what it does to those who bear it."""
