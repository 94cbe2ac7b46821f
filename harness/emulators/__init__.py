"""Emulators: one package each, taking the real program's command line, environment and configuration files.

They serve the test tree on machines without the real servers. What is not emulated answers 501 naming the
operation; it never answers a false success. They import nothing else of `harness`.
"""
