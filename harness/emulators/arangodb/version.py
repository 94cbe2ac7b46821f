"""The version this server reports."""

PINNED = "3.12.10"
VERSION = PINNED + "+emu"
