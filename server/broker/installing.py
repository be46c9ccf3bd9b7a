"""Puts a release into broker and kit listener: judged, written whole, tried with canaries, taken back if it
fails.
"""

import http.client
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from server.broker import configuration, lists
from server.broker.link import Identity, Link, Place
from server.broker.problem import BrokerProblem
from server.broker.release import Release
from server.settings import Broker, Kits

PROBE_S = 20.0
DOOR_S = 10.0


@dataclass(frozen=True)
class Files:
    """The broker's files as its configuration names them, and how it is told to read them again."""

    lists: Path
    authorities: Path
    reload: Callable[[], None]


def files(settings: Broker) -> Files:
    """BrokerProblem not-configured."""
    conf = configuration.read(settings.configuration)
    if settings.reload:
        return Files(conf.file("crlfile"), conf.file("cafile"), lambda: _run(settings.reload))
    pid_file = conf.file("pid_file")
    return Files(conf.file("crlfile"), conf.file("cafile"), lambda: hang_up(pid_file))


def install_at_broker(
    place: Place, target: Files, release: Release, now: datetime, patience_s: float = PROBE_S
) -> None:
    """From here on the broker refuses what the release revokes. BrokerProblem: then the old files are in
    force.
    """
    fresh_lists, fresh_cas = release.read("broker-lists.pem"), release.read("authorities.pem")
    old_lists, old_cas = held(target.lists), held(target.authorities)
    judge(release, "broker-lists.pem", "authorities.pem", old_lists, now)
    lists.replace(target.authorities, fresh_cas)
    lists.replace(target.lists, fresh_lists)
    try:
        target.reload()
        probe(place, release, patience_s)
    except BrokerProblem:
        lists.replace(target.authorities, old_cas)
        lists.replace(target.lists, old_lists)
        target.reload()
        raise


def install_at_door(kits: Kits, release: Release, now: datetime, *, listening: bool) -> None:
    """From the next connection on the listener for kits refuses what the release revokes. With `listening` it
    is tried. BrokerProblem: then the old files are in force."""
    if kits.crl is None:
        raise BrokerProblem("not-configured", "fleet.toml names no revocation list: set kits.crl")
    old_lists, old_cas = held(kits.crl), held(kits.client_ca)
    judge(release, "kit-lists.pem", "kit-authorities.pem", old_lists, now)
    lists.replace(kits.client_ca, release.read("kit-authorities.pem"))
    lists.replace(kits.crl, release.read("kit-lists.pem"))
    if not listening:
        return
    try:
        if knock(kits, release.fresh):
            raise BrokerProblem("list-not-honoured", "the listener for kits lets a revoked canary in")
        if not knock(kits, release.canaries[0]):
            raise BrokerProblem(
                "good-refused", "the listener refuses a good canary; the old list was put back"
            )
    except BrokerProblem:
        lists.replace(kits.client_ca, old_cas)
        lists.replace(kits.crl, old_lists)
        raise


def judge(release: Release, name: str, bundle: str, old: bytes, now: datetime) -> None:
    """BrokerProblem unless the lists may be installed and the canaries are as they should be in them."""
    fresh = lists.parse(release.read(name))
    lists.judge(fresh, lists.authorities(release.read(bundle)), now, lists.parse(old) if old.strip() else ())
    if not lists.revokes(fresh, release.certificate(release.fresh)):
        raise BrokerProblem("no-canary", "the lists do not revoke the release's own canary")
    if any(lists.revokes(fresh, release.certificate(canary)) for canary in release.canaries):
        raise BrokerProblem("no-canary", "the lists revoke a canary that should be good")


def probe(place: Place, release: Release, patience_s: float) -> None:
    """Wait until the broker honours the release. BrokerProblem list-not-honoured, good-refused."""
    until = time.monotonic() + patience_s
    while admitted(place, release.fresh):
        if time.monotonic() > until:
            raise BrokerProblem(
                "list-not-honoured", "the broker lets a revoked canary in; the old lists were put back"
            )
        time.sleep(0.1)
    if not admitted(place, release.canaries[0]):
        raise BrokerProblem("good-refused", "the broker refuses a good canary; the old lists were put back")


def admitted(place: Place, who: Identity) -> bool:
    """Whether the broker lets this certificate connect. BrokerProblem unreachable."""
    try:
        with Link(place, who):
            return True
    except BrokerProblem as problem:
        if problem.code != "refused":
            raise
        return False


def knock(kits: Kits, who: Identity) -> bool:
    """Whether the listener for kits takes this certificate (whatever it then answers). BrokerProblem
    unreachable.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(kits.client_ca)
    context.load_cert_chain(who.certificate, who.key)
    connection = http.client.HTTPSConnection(kits.host, kits.port, context=context, timeout=DOOR_S)
    try:
        connection.request("GET", "/kit/v1/inbox")
        connection.getresponse().read()
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected):
        return False
    except OSError as problem:
        raise BrokerProblem("unreachable", f"the listener for kits does not answer: {problem}") from problem
    finally:
        connection.close()
    return True


def hang_up(pid_file: Path) -> None:
    """SIGHUP to the mosquitto of this pid file. BrokerProblem when there is none."""
    with suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        if Path(f"/proc/{pid}/comm").read_text().strip() == "mosquitto":
            os.kill(pid, signal.SIGHUP)
            return
    raise BrokerProblem("no-reload", f"no mosquitto of ours at {pid_file}: is it running, may we signal it?")


def _run(command: tuple[str, ...]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_S, check=False)
    if ran.returncode:
        raise BrokerProblem("no-reload", f"{' '.join(command)}: {ran.stderr.strip()[-300:]}")


def held(path: Path) -> bytes:
    """The file in force, nothing where none was put yet."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
