"""Experiments: a background workload, one fault, a witness, and a verdict read from the history of every operation.

`experiment` is the data, `run` the phases, `history` what is remembered, `checkers` what is judged, `measure` what is
counted. Nothing here knows which runtime a service runs on. docs/failover.md tells how to read and write one.
"""
