"""arangod's command line, configuration file and the official image's environment."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from configparser import ConfigParser
from configparser import Error as SyntaxProblem
from dataclasses import dataclass
from pathlib import Path

from harness.emulators.arangodb.log import LOG_NAME
from harness.emulators.runner import ConfigError, refuse, split_address

_KNOWN_TEXT = """
    configuration database.auto-upgrade database.directory database.extended-names foxx.api foxx.enable foxx.queues
    javascript.allow-admin-execute javascript.app-path javascript.enabled log.level query.global-memory-limit
    query.max-runtime query.memory-limit query.slow-threshold server.authentication server.endpoint server.gid
    server.io-threads server.jwt-secret server.jwt-secret-keyfile server.maximal-queue-size server.maximal-threads
    server.options-api server.statistics server.storage-engine server.uid ssl.keyfile temp.path
    transaction.streaming-idle-timeout transaction.streaming-lock-timeout ttl.frequency
"""
_KNOWN = frozenset(_KNOWN_TEXT.split())
"""Of these only what `Options` holds has an effect; the rest sizes or switches what this server has not."""
_PASSWORDS = ("ARANGO_ROOT_PASSWORD", "ARANGO_ROOT_PASSWORD_FILE", "ARANGO_RANDOM_ROOT_PASSWORD", "ARANGO_NO_AUTH")
_BAD_OPTION, _BAD_VALUE, _BAD_CONFIG = 3, 4, 6


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
    max_runtime: float = 0
    memory_limit: int = 0
    keyfile: str = ""


def _bad_value(name: str, problem: str) -> None:
    refuse(f"Error setting value for option '--{name}': {problem}", _BAD_VALUE)


def _command_line(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    words = iter(argv)
    for word in words:
        if not word.startswith("--"):
            yield "database.directory", word
            continue
        name, equals, value = word[2:].partition("=")
        value = value if equals else next(words, "--")
        if value.startswith("--"):
            _bad_value(name, "no value specified")
        yield name, value


def _file(path: str) -> Iterator[tuple[str, str]]:
    """The options of a configuration file: `[section]` and `name = value` are `section.name`."""
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(Path(path).read_text())
    except (OSError, SyntaxProblem) as error:
        refuse(f"cannot read config file '{path}': {error}", _BAD_CONFIG)
    for section in parser.sections():
        yield from ((f"{section}.{name}", value) for name, value in parser[section].items())


def _check(name: str) -> None:
    if name not in _KNOWN and not name.startswith(("rocksdb.", "cache.")):
        text = f"Error while processing command-line options: unknown option '--{name}'"
        refuse(f"{text}\nUse --help to get help or --help-all to get help for all options", _BAD_OPTION)


def _number(values: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(values.get(name, default))
    except ValueError:
        return refuse(f"Error setting value for option '--{name}': invalid numeric value '{values[name]}'", _BAD_VALUE)


def _endpoint(values: Mapping[str, str]) -> tuple[str, int]:
    scheme, _, address = values.get("server.endpoint", "tcp://127.0.0.1:8529").partition("://")
    if scheme not in ("tcp", "http+tcp", "http", "ssl"):
        _bad_value("server.endpoint", f"unsupported endpoint '{scheme}://'")
    try:
        return split_address(address if ":" in address else address + ":8529")
    except ConfigError as error:
        return refuse(str(error), _BAD_VALUE)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes().strip()
    except OSError as error:
        return refuse(f"unable to read content of file '{path}': {error.strerror}")


def _root_password(environment: Mapping[str, str], authentication: bool, initialized: bool) -> tuple[str, bool]:
    """The password for a new data directory and whether the server asks for one at all, as the entry point does."""
    given = [name for name in _PASSWORDS if name in environment]
    if not given and (initialized or not authentication):
        return "", authentication
    if len(given) != 1:
        refuse(
            "error: database is uninitialized and password option is not specified \n"
            f"  You need to specify one of {', '.join(_PASSWORDS)}"
        )
    password = environment[given[0]]
    if given[0] == "ARANGO_NO_AUTH":
        return "", False
    if given[0] == "ARANGO_RANDOM_ROOT_PASSWORD":
        password = secrets.token_hex(16)
        print(f"===========================================\nGENERATED ROOT PASSWORD: {password}", flush=True)
    return _read(password).decode() if given[0] == "ARANGO_ROOT_PASSWORD_FILE" else password, authentication


def read_options(argv: Sequence[str], environment: Mapping[str, str]) -> Options:
    """The options of a start. Ends the process with arangod's exit code (3 unknown option, 4 bad value) or 1."""
    given = dict(_command_line(argv))
    config = given.get("configuration", "none")
    values = {**dict(_file(config) if config != "none" else ()), **given}
    for name in values:
        _check(name)
    host, port = _endpoint(values)
    directory = Path(values["database.directory"]) if values.get("database.directory") else None
    wanted = values.get("server.authentication", "true").lower()
    if wanted not in ("true", "false"):
        _bad_value("server.authentication", f"invalid value '{wanted}'. type: boolean")
    initialized = directory is not None and (directory / LOG_NAME).exists()
    password, authentication = _root_password(environment, wanted == "true", initialized)
    keyfile = values.get("server.jwt-secret-keyfile", "")
    secret = _read(keyfile) if keyfile else values.get("server.jwt-secret", "").encode()
    return Options(
        host=host,
        port=port,
        directory=directory,
        authentication=authentication,
        jwt_secret=secret or secrets.token_bytes(32),
        root_password=password,
        idle_timeout=min(_number(values, "transaction.streaming-idle-timeout", 60), 120),
        ttl_seconds=_number(values, "ttl.frequency", 30000) / 1000,
        max_runtime=_number(values, "query.max-runtime", 0),
        memory_limit=int(_number(values, "query.memory-limit", 0)),
        keyfile=values.get("ssl.keyfile", "") if values.get("server.endpoint", "").startswith("ssl:") else "",
    )
