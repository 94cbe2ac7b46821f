"""Watching an owner: by pidfd even though a forked child holds the pipe, by the pipe's end, and jobs meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from harness.identity import Identity
from harness.keeper.watch import MainLoop


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        with suppress(OSError):  # the test closed it
            os.close(descriptor)


def test_the_end_of_the_lifeline_ends_the_loop(pipe: tuple[int, int]) -> None:
    loop = MainLoop(None, pipe[0])
    os.write(pipe[1], b"a byte is no end")
    threading.Timer(0.02, os.close, [pipe[1]]).start()
    assert loop.run() == "owner closed its lifeline"


def test_the_owners_death_ends_the_loop_though_a_forked_child_holds_the_pipe(pipe: tuple[int, int]) -> None:
    forks = "import os, time\nif os.fork() == 0: time.sleep(60)\nprint(1, flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", forks],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[pipe[1]],
        process_group=0,
    ) as owner:
        assert owner.stdout
        assert owner.stdout.readline()
        os.close(pipe[1])
        identity = Identity.of(owner.pid)
        loop = MainLoop(identity, pipe[0])
        threading.Timer(0.02, owner.kill).start()
        assert loop.run() == "owner died"
        os.killpg(owner.pid, 9)


def test_an_owner_that_was_gone_already_ends_it_at_once() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        identity = Identity.of(process.pid) or replace(Identity.mine(), pid=process.pid)
    assert MainLoop(identity, None).run() == "owner was gone before the keeper began"


def test_a_reused_number_is_not_the_owner() -> None:
    other = replace(Identity.mine(), started=1)
    assert MainLoop(other, None).run() == "owner was gone before the keeper began"


def test_jobs_run_on_the_loops_thread_in_order() -> None:
    loop, seen = MainLoop(Identity.mine(), None), list[tuple[int, int]]()

    def submit() -> None:
        for number in range(3):
            loop.submit(lambda n=number: seen.append((n, threading.get_ident())))  # type: ignore[misc]
        loop.submit(lambda: loop.end("enough"))
        loop.end("too late")

    threading.Timer(0.01, submit).start()
    assert loop.run() in {"enough", "too late"}
    loop.drain(lambda: len(seen) == 3)
    assert seen == [(number, threading.get_ident()) for number in range(3)]


def test_a_released_loop_no_longer_watches(pipe: tuple[int, int]) -> None:
    loop = MainLoop(Identity.mine(), pipe[0])
    loop.release()
    os.close(pipe[1])
    threading.Timer(0.05, loop.end, ["asked"]).start()
    assert loop.run() == "asked"


def test_wake_ups_never_block() -> None:
    loop = MainLoop(None, None)
    for _ in range(70_000):
        loop.submit(_nothing)
    loop.end("done")
    assert loop.run() == "done"


def _nothing() -> None:
    return
