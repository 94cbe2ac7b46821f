"""Emulator of Grafana 13.2.3's HTTP API without its pages. State in plain modules, the wire in `http`, `routes`."""

VERSION = "13.2.3+emu"
"""What every answer reports. `+emu` keeps a run on the emulator from passing for one on Grafana."""
