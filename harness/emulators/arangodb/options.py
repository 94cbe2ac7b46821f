"""arangod's command line, configuration file and the official image's environment."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.emulators.arangodb.log import LOG_NAME
from harness.emulators.runner import ConfigError, refuse, split_address

_KNOWN = {
    "server.endpoint", "database.directory", "configuration", "server.authentication", "server.jwt-secret-keyfile",
    "server.jwt-secret", "log.output", "log.level", "transaction.streaming-idle-timeout", "ttl.frequency",
    "foxx.enable", "database.wait-for-sync", "query.max-runtime", "query.slow-threshold", "query.memory-limit",
}  # fmt: skip
_SERVER = (
    "server.session-timeout", "server.statistics", "server.storage-engine", "server.maximal-queue-size",
    "server.maximal-threads", "server.io-threads", "server.options-api", "server.authentication-system-only",
    "server.authentication-unix-sockets", "server.keep-alive-timeout", "server.uid", "server.gid",
    "database.auto-upgrade", "database.extended-names", "database.extended-names-databases",
    "transaction.streaming-lock-timeout", "transaction.streaming-max-transaction-size", "foxx.queues", "foxx.api",
    "javascript.startup-directory", "javascript.app-path", "javascript.enabled", "javascript.allow-admin-execute",
    "temp.path",
)  # fmt: skip
_PASSWORDS = ("ARANGO_ROOT_PASSWORD", "ARANGO_ROOT_PASSWORD_FILE", "ARANGO_RANDOM_ROOT_PASSWORD", "ARANGO_NO_AUTH")
BAD_OPTION, BAD_VALUE = 3, 4


@dataclass(frozen=True)
class Options:
    """What the server runs with. Times in seconds; an empty directory means nothing is kept."""

    host: str = "127.0.0.1"
    port: int = 8529
    directory: Path | None = None
    authentication: bool = True
    jwt_secret: bytes = b""
    root_password: str = ""
    idle_timeout: float = 60
    ttl_seconds: float = 30
    wait_for_sync: bool = False
    max_runtime: float = 0
    memory_limit: int = 0
    slow_seconds: float = 10
    log_level: str = "info"
    log_output: str = "-"


def _command_line(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    words = iter(argv)
    for word in words:
        if not word.startswith("--"):
            yield "database.directory", word
            continue
        name, equals, value = word[2:].partition("=")
        if not equals:
            value = next(words, "")
            if not value or value.startswith("--"):
                refuse(
                    f"Error while processing command-line options: no value specified for option '--{name}'", BAD_VALUE
                )
        yield name, value


def _ini(path: Path) -> Iterator[tuple[str, str]]:
    section = ""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        refuse(f"cannot read config file '{path}': {error.strerror}", 6)
    for line in lines:
        text = line.strip()
        if text.startswith("@include "):
            yield from _ini(Path(text.removeprefix("@include ").strip()))
        elif text.startswith("[") and text.endswith("]"):
            section = text[1:-1].strip() + "."
        elif text and text[0] not in "#;":
            name, _, value = text.partition("=")
            yield section + name.strip(), value.strip()


def _check(name: str) -> None:
    listed = name in _KNOWN or name in _SERVER
    if not listed and not name.startswith(("query.", "rocksdb.", "cache.", "log.")):
        text = f"Error while processing command-line options: unknown option '--{name}'"
        refuse(f"{text}\nUse --help to get help or --help-all to get help for all options", BAD_OPTION)


def _flag(values: Mapping[str, str], name: str, default: bool) -> bool:
    text = values.get(name, str(default)).lower()
    if text not in ("true", "false", "1", "0", "on", "off", "yes", "no"):
        refuse(f"Error setting value for option '--{name}': invalid value '{text}'. type: boolean", BAD_VALUE)
    return text in ("true", "1", "on", "yes")


def _number(values: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(values.get(name, default))
    except ValueError:
        return refuse(f"Error setting value for option '--{name}': invalid numeric value '{values[name]}'", BAD_VALUE)


def _endpoint(values: Mapping[str, str]) -> tuple[str, int]:
    scheme, _, address = values.get("server.endpoint", "tcp://127.0.0.1:8529").partition("://")
    if scheme not in ("tcp", "http+tcp", "http"):
        refuse(f"Error setting value for option '--server.endpoint': unsupported endpoint '{scheme}://'", BAD_VALUE)
    try:
        return split_address(address if ":" in address else address + ":8529")
    except ConfigError as error:
        return refuse(str(error), BAD_VALUE)


def _root_password(environment: Mapping[str, str], authentication: bool, initialized: bool) -> tuple[str, bool]:
    """The password for a new data directory and whether the server asks for one at all, as the entry point does."""
    given = [name for name in _PASSWORDS if name in environment]
    if not given and (initialized or not authentication):
        return "", authentication
    if len(given) != 1:
        refuse(
            "error: database is uninitialized and password option is not specified \n"
            "  You need to specify one of ARANGO_ROOT_PASSWORD, ARANGO_ROOT_PASSWORD_FILE, ARANGO_NO_AUTH and "
            "ARANGO_RANDOM_ROOT_PASSWORD"
        )
    if given[0] == "ARANGO_NO_AUTH":
        return "", False
    if given[0] == "ARANGO_RANDOM_ROOT_PASSWORD":
        password = secrets.token_hex(16)
        print(f"===========================================\nGENERATED ROOT PASSWORD: {password}", flush=True)
        return password, authentication
    if given[0] == "ARANGO_ROOT_PASSWORD_FILE":
        try:
            return Path(environment[given[0]]).read_text().strip(), authentication
        except OSError as error:
            return refuse(f"WARNING: cannot read password file: {error}"), True
    return environment[given[0]], authentication


def read_options(argv: Sequence[str], environment: Mapping[str, str]) -> Options:
    """The options of a start. Ends the process with arangod's exit code (3 unknown option, 4 bad value) or 1."""
    given = dict(_command_line(argv))
    config = given.get("configuration", "none")
    values = {**(dict(_ini(Path(config))) if config != "none" else {}), **given}
    for name in values:
        _check(name)
    host, port = _endpoint(values)
    directory = Path(values["database.directory"]) if values.get("database.directory") else None
    initialized = directory is not None and (directory / LOG_NAME).exists()
    wanted = _flag(values, "server.authentication", True)
    password, authentication = _root_password(environment, wanted, initialized)
    keyfile = values.get("server.jwt-secret-keyfile", "")
    try:
        secret = Path(keyfile).read_bytes().strip() if keyfile else values.get("server.jwt-secret", "").encode()
    except OSError as error:
        refuse(f"unable to read content of jwt-secret file: {error.strerror}")
    return Options(
        host=host,
        port=port,
        directory=directory,
        authentication=authentication,
        jwt_secret=secret or secrets.token_bytes(32),
        root_password=password,
        idle_timeout=min(_number(values, "transaction.streaming-idle-timeout", 60), 120),
        ttl_seconds=_number(values, "ttl.frequency", 30000) / 1000,
        wait_for_sync=_flag(values, "database.wait-for-sync", False),
        max_runtime=_number(values, "query.max-runtime", 0),
        memory_limit=int(_number(values, "query.memory-limit", 0)),
        slow_seconds=_number(values, "query.slow-threshold", 10),
        log_level=values.get("log.level", "info").rpartition("=")[2],
        log_output=values.get("log.output", "-"),
    )
