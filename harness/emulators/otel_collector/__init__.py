"""An emulator of the OpenTelemetry Collector, contrib distribution: its configuration file, wire and own metrics."""

VERSION = "0.159.0+emu"
COMMAND = "otelcol-contrib"
