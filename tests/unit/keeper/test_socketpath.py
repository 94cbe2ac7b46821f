"""Addresses of sockets: the path while it fits, a descriptor of its directory when it does not."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest

from harness.keeper.socketpath import LIMIT, address


def of_length(root: Path, length: int) -> Path:
    """A socket's path of exactly so many bytes, its directory made."""
    path = root / ("d" * (length - len(str(root)) - 3)) / "s"
    path.parent.mkdir()
    assert len(str(path)) == length
    return path


@pytest.mark.parametrize(("length", "as_it_is"), [(LIMIT, True), (LIMIT + 1, False), (200, False)])
def test_a_socket_is_bound_and_found_whatever_the_length_of_its_path(state: Path, length: int, as_it_is: bool) -> None:
    path = of_length(state, length)
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        with address(path) as name:
            assert (name == str(path)) is as_it_is
            server.bind(name)
        server.listen()
        with address(path) as name:
            client.connect(name)
        assert path.is_socket()


def test_no_descriptor_stays_open(state: Path) -> None:
    path = of_length(state, 150)
    before = psutil.Process().num_fds()
    with address(path):
        assert psutil.Process().num_fds() == before + 1
    assert psutil.Process().num_fds() == before


def test_a_directory_that_is_not_there_is_told_as_such(state: Path) -> None:
    with pytest.raises(FileNotFoundError), address(state / ("x" * 120) / "s"):
        pass
