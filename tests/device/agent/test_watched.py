"""The agent under a supervisor: it says that it works as long as it does, and ends without a complaint."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from device.agent.watchdog import ALIVE, SHARE, Watchdog
from tests.device.agent.kit import Kit
from tests.device.agent.test_crash import free_port

PATIENCE_S = 2.0
LONG_S = 30.0


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[socket.socket]:
    """Stands in for systemd's end of NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(LONG_S)
        yield listening


@contextmanager
def agent(kit: Kit, port: int, **environment: str) -> Iterator[subprocess.Popen[str]]:
    program = [sys.executable, "-m", "device", "run", "--config", str(kit.write_config(port))]
    env = {**os.environ, **environment}
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True, env=env) as running:
        try:
            assert running.stderr is not None
            for line in running.stderr:
                if json.loads(line)["event"] == "kiosk-ready":
                    break
            yield running
        finally:
            running.kill()


def told(listening: socket.socket, seconds: float) -> bool:
    """Whether it says that it works within so many seconds from now."""
    listening.settimeout(0.0)
    with suppress(BlockingIOError):
        while True:  # what it said before
            listening.recv(64)
    listening.settimeout(seconds)
    try:
        return listening.recv(64) == ALIVE
    except TimeoutError:
        return False


@pytest.mark.system
def test_an_agent_that_works_says_so_and_one_that_stands_still_does_not(
    kit: Kit, supervisor: socket.socket
) -> None:
    watched = {"NOTIFY_SOCKET": supervisor.getsockname(), "WATCHDOG_USEC": str(int(PATIENCE_S * 1e6))}
    with agent(kit, free_port(), **watched) as running:
        assert told(supervisor, LONG_S)
        running.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, running.pid, os.WSTOPPED | os.WNOWAIT)
        assert not told(supervisor, PATIENCE_S)  # so long systemd waits, and kills it
        running.send_signal(signal.SIGCONT)
        assert told(supervisor, LONG_S)


@pytest.mark.system
def test_pages_that_follow_are_let_go_at_the_end_and_nothing_is_complained_of(kit: Kit) -> None:
    port = free_port()

    def follow() -> None:
        """As a browser does: on one connection, again and again, until nobody is there."""
        with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", port)) as browser:
            after = 0
            while True:
                browser.request("GET", f"/desk?after={after}")
                after = json.load(browser.getresponse())["version"]

    with agent(kit, port) as running:
        pages = [threading.Thread(target=follow) for _ in range(3)]
        for page in pages:
            page.start()
        with suppress(subprocess.TimeoutExpired):
            running.wait(0.5)  # they wait by now, or not yet: both must end well
        running.send_signal(signal.SIGTERM)
        assert running.stderr is not None
        rest = running.stderr.read()
        assert running.wait(LONG_S) == 0
        for page in pages:
            page.join()
    assert '"level": "error"' not in rest
    assert "Traceback" not in rest


def test_who_does_not_turn_is_not_alive_whatever_else_turns(supervisor: socket.socket) -> None:
    turns, now = {"desk": 0, "kiosk": 0}, [0.0]
    environment = {"NOTIFY_SOCKET": supervisor.getsockname(), "WATCHDOG_USEC": "4000000"}
    dog = Watchdog([lambda: turns["desk"], lambda: turns["kiosk"]], environment, lambda: now[0])

    def heard(**more: int) -> bool:
        for name, count in more.items():
            turns[name] += count
        dog.look()
        supervisor.settimeout(0.0)
        with suppress(BlockingIOError):
            return supervisor.recv(64) == ALIVE
        return False

    assert heard()  # at the start: the first turn may take its time
    assert not heard(desk=1, kiosk=1)  # too soon
    now[0] = 4.0 / SHARE
    assert heard()
    now[0] = 8.0 / SHARE
    assert not heard(kiosk=5)
    assert not heard(kiosk=5)
    assert heard(desk=1)


@pytest.mark.parametrize(
    "missing",
    [{"NOTIFY_SOCKET": ""}, {"WATCHDOG_USEC": ""}, {"WATCHDOG_PID": "1"}],
    ids=["nobody", "never", "another"],
)
def test_where_nobody_watches_nothing_is_said(supervisor: socket.socket, missing: dict[str, str]) -> None:
    environment = {"NOTIFY_SOCKET": supervisor.getsockname(), "WATCHDOG_USEC": "4000000"}
    Watchdog([lambda: 1], environment | missing).look()
    supervisor.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        supervisor.recv(64)
