"""The entry point that pytest loads. Imports nothing of the harness but its options until the project has enabled it.

Enable with `infra_harness = true` in the pytest configuration, or with `HARNESS_ENABLED=1`.
"""

from __future__ import annotations

import os

import pytest

INI = "infra_harness"


def pytest_addoption(parser: pytest.Parser) -> None:
    """One ini setting; and the options, with an `--infra-` prefix so that they clash with nobody's."""
    parser.addini(INI, "Enable the infrastructure harness: its fixtures, layers and reports.", "bool", default=False)
    from harness.config.options import OPTIONS

    group = parser.getgroup("infra-harness", "infrastructure harness (active with infra_harness = true)")
    for option in OPTIONS:
        flag = "--infra-" + option.name.replace("_", "-")
        destination = f"infra_{option.name}"
        if option.is_switch:
            group.addoption(flag, dest=destination, action="store_const", const="true", default=None, help=option.help)
            off = "--infra-no-" + option.name.replace("_", "-")
            group.addoption(off, dest=destination, action="store_const", const="false", help=f"The reverse of {flag}.")
        elif option.repeat:
            group.addoption(flag, dest=destination, action="append", metavar=option.metavar, help=option.help)
        else:
            group.addoption(flag, dest=destination, default=None, metavar=option.metavar or None, help=option.help)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the rest, when enabled."""
    if not (config.getini(INI) or os.environ.get("HARNESS_ENABLED") == "1"):
        return
    from harness.pytest_plugin.hooks import enable

    enable(config)
