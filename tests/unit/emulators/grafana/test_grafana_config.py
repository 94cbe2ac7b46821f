from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.emulators.grafana.config import load
from harness.emulators.grafana.times import duration_text, iso, moment_ms, seconds_of
from harness.emulators.runner import ConfigError


def test_later_sources_win(tmp_path: Path) -> None:
    ini = tmp_path / "grafana.ini"
    sections = ("app_mode = test", "[server]", "http_port = 4000 ; why", "http_addr = 127.0.0.2")
    ini.write_text("\n".join((*sections, "[feature_toggles]", "splashScreen = false")))
    environ = {"GF_SERVER_HTTP_PORT": "5000"}
    assert load([], {}, str(ini)).text("server.http_port") == "4000"
    settings = load([], environ, str(ini))
    assert (settings.text("server.http_port"), settings.text("server.http_addr")) == ("5000", "127.0.0.2")
    assert settings.toggles == {"splashScreen": False}
    assert load(["cfg:default.server.http_port=6000"], environ, str(ini)).text("server.http_port") == "6000"


def test_secret_from_file(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("hidden\n")
    environ = {"GF_SECURITY_ADMIN_PASSWORD__FILE": str(tmp_path / "pw")}
    assert load([], environ).text("security.admin_password") == "hidden"
    with pytest.raises(ConfigError, match="__FILE"):
        load([], {"GF_SECURITY_ADMIN_PASSWORD__FILE": str(tmp_path / "absent")})


@pytest.mark.parametrize(
    "environ",
    [
        {"GF_SERVER_HTTP_PORT": "many"},
        {"GF_UNIFIED_ALERTING_MIN_INTERVAL": "7s"},
        {"GF_UNIFIED_ALERTING_MIN_INTERVAL": "x"},
    ],
)
def test_bad_values_are_refused(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        load([], environ)


def test_base_tick_needs_the_toggle() -> None:
    environ = {"GF_UNIFIED_ALERTING_SCHEDULER_TICK_INTERVAL": "1s", "GF_UNIFIED_ALERTING_MIN_INTERVAL": "10s"}
    assert load([], environ).base_tick == 10.0
    assert load([], environ | {"GF_FEATURE_TOGGLES_ENABLE": "configurableSchedulerTick"}).base_tick == 1.0


def test_durations_and_moments() -> None:
    assert [seconds_of(text) for text in ("1h30m", "500ms", "10s", "0", "7")] == [5400, 0.5, 10, 0, 7]
    assert [duration_text(seconds) for seconds in (0, 1.5, 60, 5400)] == ["0s", "1s500ms", "1m", "1h30m"]
    assert moment_ms("now-1h", 7200.0) == 3_600_000
    assert moment_ms("1700000000000", 0.0) == 1_700_000_000_000
    assert iso(1_700_000_000.5, 3) == "2023-11-14T22:13:20.500Z"
    with pytest.raises(ValueError, match="not a valid duration"):
        seconds_of("soon")


def _run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness.emulators.grafana", *arguments]
    return subprocess.run(
        command, env={"PATH": "/usr/bin", **environ}, capture_output=True, text=True, timeout=10, check=False
    )


def test_version_is_printed_with_its_mark() -> None:
    assert _run("-v").stdout == "grafana version 13.2.3+emu\n"
    assert _run("server", "--version").stdout.startswith("Version 13.2.3+emu (commit:")


def test_a_data_directory_that_is_a_file_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _run("server", GF_PATHS_DATA=str(tmp_path / "file"))
    assert done.returncode == 1
    assert "is not writable" in done.stderr


def test_a_broken_database_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "grafana.db").write_text("no database " * 100)
    done = _run("server", GF_PATHS_DATA=str(tmp_path))
    assert done.returncode == 1
    assert "not a database" in done.stderr


def test_unknown_arguments_and_defects_are_refused() -> None:
    assert _run("server", "--nonsense=1").returncode == 1
    assert _run("--defect", "nonsense").returncode == 2
    assert "webhook_dropped" in _run("--defects").stdout
