"""A broker that no longer answers is noticed, started again, and told; one that refuses is left alone."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from protocol.access import CANARIES
from server.broker.watch import NO_COMMAND, Watch
from server.db.scope import EVERYONE
from server.fleet import broker_health
from server.work import utc_now
from tests.mosquitto import until
from tests.pki import Pki
from tests.server.broker.conftest import Managed

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]


def watch_of(managed: Managed, *restart: str) -> Watch:
    settings = msgspec.structs.replace(managed.manager.settings, watch_every_s=1, restart=restart)
    return Watch(managed.town.database, settings, managed.manager.place, utc_now)


def told(managed: Managed) -> str:
    """What stands on the page of the broker; empty when nothing does."""
    with managed.town.database.reading(EVERYONE) as db:
        rows = [row for row in broker_health.results(db) if row.name == broker_health.ANSWERS]
        return f"{rows[0].state}: {rows[0].detail}; {rows[0].remedy}" if rows else ""


def looking(watch: Watch, so: Callable[[], object]) -> Callable[[], object]:
    def once_more() -> object:
        watch.look()
        return so()

    return once_more


@contextmanager
def started_anew(managed: Managed) -> Iterator[tuple[str, ...]]:
    """A command that ends the broker and starts it again, as systemd would; what it started ends with us."""
    folder, conf = managed.broker.settings.folder, managed.broker.configuration
    pid = folder / "mosquitto.pid"
    try:
        yield "/bin/sh", "-c", f"kill -9 $(cat {pid}) 2>/dev/null; exec mosquitto -d -c {conf}"
    finally:
        if managed.broker.process is not None:
            managed.broker.process.kill()
            managed.broker.process.wait(10)
            managed.broker.process = None
        with suppress(OSError, ValueError):
            os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_broker_that_is_gone_is_started_again_and_told_until_it_answers(managed: Managed) -> None:
    with started_anew(managed) as command:
        watch = watch_of(managed, *command)
        watch.look()
        assert told(managed) == ""
        managed.broker.kill()
        until(looking(watch, lambda: told(managed)), 60)
        assert told(managed).startswith("fail: no answer 3 times (unreachable); it was started again")
        until(looking(watch, lambda: not told(managed)), 60, "an answer")
        managed.manager.agree()  # it is that broker, with what it knew


@pytest.mark.skipif("THUISLOKET_LONG" not in os.environ, reason="the long form: THUISLOKET_LONG=1")
# paho leaves a socket whose handshake timed out to the collector, which closes it with the error.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)
def test_a_broker_that_hangs_with_its_socket_open_is_started_again(managed: Managed) -> None:
    with started_anew(managed) as command:
        watch = watch_of(managed, *command)
        assert managed.broker.process is not None
        os.kill(managed.broker.process.pid, signal.SIGSTOP)
        until(looking(watch, lambda: told(managed)), 200)
        assert "it was started again" in told(managed)
        until(looking(watch, lambda: not told(managed)), 60, "an answer")


def test_without_a_command_a_person_is_told_what_to_do(managed: Managed) -> None:
    watch = watch_of(managed)
    managed.broker.kill()
    until(looking(watch, lambda: told(managed)), 60)
    assert told(managed).endswith(NO_COMMAND)
    with managed.town.database.reading(EVERYONE) as db:
        assert "answers: no answer" in broker_health.verdict(db, utc_now())
    managed.broker.start()
    until(looking(watch, lambda: not told(managed)), 60)


def test_a_command_that_fails_is_told_with_what_it_said(managed: Managed) -> None:
    watch = watch_of(managed, "/bin/sh", "-c", "echo no such unit >&2; exit 5")
    managed.broker.kill()
    until(looking(watch, lambda: told(managed)), 60)
    assert told(managed).endswith("starting it again failed: no such unit")


def test_a_refusal_is_an_answer(managed: Managed, tmp_path: Path) -> None:
    """Also where the canary's certificate has ended, or is of another authority."""
    foreign = Pki(tmp_path / "foreign").issue("kit-tls", CANARIES[0])
    shutil.copyfile(foreign.certificate, managed.release / f"{CANARIES[0]}.pem")
    shutil.copyfile(foreign.key, managed.release / f"{CANARIES[0]}.key")
    ended = time.monotonic() + 5
    until(looking(watch_of(managed), lambda: time.monotonic() > ended))
    assert told(managed) == ""
