#!/usr/bin/python3 -I
"""Runs the emulator named after it: the image has this file where the official image has its program."""

import runpy
import sys
from pathlib import Path

PROGRAMS = {
    "arangod": "arangodb",
    "consul": "consul",
    "grafana": "grafana",
    "otelcol-contrib": "otel_collector",
    "tempo": "tempo",
}

runpy.run_module(f"harness.emulators.{PROGRAMS[Path(sys.argv[0]).name]}", run_name="__main__", alter_sys=True)
