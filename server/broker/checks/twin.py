"""Checks on a second broker with the same configuration: it is restarted, killed, and given a broken list."""

import json
import math
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from protocol import access
from server.broker import installing, lists
from server.broker.checks.stand import REFUSED, Named, Red, Stand, files_of
from server.broker.configuration import Configuration, read
from server.broker.link import Identity, Link, Place
from server.broker.problem import BrokerProblem

START_S = 20.0
SOONER_S = 60  # a broker that saves less often forgets more than a kit says again by itself
SAVED_S = 2.5  # the second that autosave_interval adds, and a busy machine
SAVES = "autosave_on_changes false, autosave_interval 5"
MESSAGES = 20
ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM")  # util-linux; also where we are killed
RELOADS = 3
OWN = {
    *("listener", "port", "bind_address", "certfile", "keyfile", "cafile", "crlfile", "persistence_location"),
    *("plugin_opt_config_file", "auth_opt_config_file", "acl_file", "pid_file", "user", "include_dir"),
    *("persistence_file", "log_dest"),
}


class Twin:
    """Where the fleet's listener has its certificate, the twin uses it: the broker's own key is the
    broker's.
    """

    def __init__(self, folder: Path, stand: Stand) -> None:
        self._folder, self._process = folder, None
        self.lists, self.authorities = folder / "lists.pem", folder / "authorities.pem"
        crl, bundle = files_of(stand.conf)
        self.lists.write_bytes(crl.read_bytes())
        self.authorities.write_bytes(bundle.read_bytes())
        self.port = _free_port()
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text(self._text(stand))
        self.stand = replace(
            stand,
            place=Place("127.0.0.1", self.port, stand.config.mqtt.ca, named=False),
            conf=read(self._configuration),
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(signal.SIGTERM)

    _process: subprocess.Popen[bytes] | None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*ENDS_WITH_US, "mosquitto", "-c", str(self._configuration)], stdout=log, stderr=log
            )
        until = time.monotonic() + START_S
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > until:
                said = (self._folder / "log").read_text(errors="replace").strip()[-200:]
                raise BrokerProblem(
                    "no-twin", f"a second mosquitto with this configuration does not start: {said}"
                )
            time.sleep(0.05)

    def end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_S)
            self._process = None

    def reload(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def _text(self, stand: Stand) -> str:
        kept = [(name, value) for name, value in _first_listener(stand.conf) if name not in OWN]
        general = {"per_listener_settings", "allow_anonymous"}
        lines = [f"{name} {value}".strip() for name, value in kept if name in general]
        lines += [f"persistence_location {self._folder}/", "log_dest stderr"]
        if os.geteuid() == 0:
            lines.append("user root")
        if stand.conf.last("plugin") or stand.conf.last("auth_plugin"):
            first = access.first_file([stand.config.mqtt.client_id], access.CANARIES)
            (self._folder / "dynsec.json").write_text(json.dumps(first))
        if stand.conf.last("acl_file"):
            lines.append(f"acl_file {stand.conf.last('acl_file')}")
        by_listener = {
            *("tls_version", "require_certificate", "use_identity_as_username", "use_subject_as_username"),
            *("use_username_as_clientid", "max_connections", "ciphers_tls1.3", "protocol"),
        }
        for name, value in kept:
            if name not in general | by_listener:
                lines.append(f"{name} {value}".strip())
                if name in ("plugin", "auth_plugin"):
                    lines.append(f"plugin_opt_config_file {self._folder / 'dynsec.json'}")
        lines.append(f"listener {self.port} 127.0.0.1")
        lines += [f"{name} {value}".strip() for name, value in kept if name in by_listener]
        door = stand.config.kits
        lines += [f"cafile {self.authorities}", f"certfile {door.certificate}", f"keyfile {door.key}"]
        if stand.conf.last("crlfile"):
            lines.append(f"crlfile {self.lists}")
        return "\n".join(lines) + "\n"


@contextmanager
def twin(stand: Stand) -> Iterator[Twin]:
    """A second broker like the one of `stand`, gone afterwards. BrokerProblem no-twin, not-configured."""
    with tempfile.TemporaryDirectory(prefix="thuisloket-twin-") as folder, Twin(Path(folder), stand) as made:
        yield made


def broken_list(stand: Stand) -> str:
    with twin(stand) as other:
        place, good = other.stand.place, other.lists.read_bytes()
        installing.admitted(place, stand.two)  # it listens before it minds SIGHUP, which would end it then
        other.lists.write_bytes(b"")
        other.reload()
        time.sleep(0.5)
        opened = installing.admitted(place, stand.release.fresh)
        files = installing.Files(other.lists, other.authorities, other.reload)
        other.lists.write_bytes(good)
        try:
            installing.install_at_broker(place, files, stand.release, stand.now)
        except BrokerProblem as problem:
            raise Red(
                f"after a broken list a good one is not taken up: {problem}",
                "set crlfile and require_certificate; never write the lists but by `broker install`",
            ) from problem
    try:
        lists.parse(b"")
    except BrokerProblem:
        seen = "lets a revoked kit in" if opened else "refuses all"
        return f"with an empty list this mosquitto {seen}; ours are judged before and tried after"
    raise Red("an empty list would be installed", "report this")


def restart(stand: Stand) -> str:
    return _over(stand, signal.SIGTERM, 0.0, "persistence true")


def kill(stand: Stand) -> str:
    unsaved = unsaved_s(stand.conf)
    if unsaved > SOONER_S:
        raise Red(f"what the broker was told may stay unsaved for {unsaved} s", SAVES)
    kept = _over(stand, signal.SIGKILL, unsaved + SAVED_S, SAVES)
    return f"{kept}; saved within {unsaved + 1:.0f} s"


def reload(stand: Stand) -> str:
    if limit := stand.conf.last("persistent_client_expiration"):
        raise Red(
            f"sessions that end ({limit}): after a reload with a kit away mosquitto 2.0.11 may crash",
            "take persistent_client_expiration out of mosquitto.conf and start mosquitto anew",
        )
    with twin(stand) as other:
        for _ in range(RELOADS):
            other.stand.rest(0)
            other.stand.leave_session()
            other.stand.tell_one(MESSAGES)
            other.reload()
            with Link(other.stand.place, stand.one, keep=True) as link:
                kept, heard = link.session_kept, other.stand.numbers(link, MESSAGES, 5.0)
            if not kept or heard != list(range(MESSAGES)):
                raise Red(f"after a reload {len(heard)} of {MESSAGES} messages are kept", "report this")
    return f"sessions of kits that are away outlive {RELOADS} reloads"


def unsaved_s(conf: Configuration) -> float:
    """How long, at most, the broker keeps a change in memory alone; infinite when nothing limits it."""
    interval = int(conf.last("autosave_interval") or 1800)  # mosquitto's own default
    if conf.last("autosave_on_changes") == "true":  # counts changes: the last few may wait for ever
        return 0.0 if interval == 1 else math.inf
    return float(interval) or math.inf


def retained(stand: Stand) -> str:
    with twin(stand) as other:
        who = stand.config.mqtt
        topic = f"tl/v1/kit/{stand.one.name}/state/presence"
        with Link(other.stand.place, stand.one) as kit:
            if kit.publish(topic, b"7", retain=True) >= REFUSED:
                raise Red("a kit may not show its state", "run `thuisloket-fleet broker agree`")
        with Link(other.stand.place, Identity(who.client_id, who.certificate, who.key)) as worker:
            granted = worker.subscribe("tl/v1/kit/+/state/+")
            copies = [heard.payload for heard in worker.hear_all(2, 2.0)]
    if granted != [1] or copies != [b"7"]:
        raise Red(
            f"a worker that subscribes ({granted}) hears {len(copies)} copies", "one plain subscription each"
        )
    return "a retained state comes once to a plain subscription"


CHECKS = (
    Named("broken-list", 4, broken_list),
    Named("restart", 8, restart),
    Named("kill", 9, kill),
    Named("retained", 12, retained),
    Named("reload", 14, reload),
)


def _over(stand: Stand, how: signal.Signals, wait_s: float, remedy: str) -> str:
    with twin(stand) as other:
        other.stand.leave_session()
        other.stand.tell_one(MESSAGES)
        other.stand.rest(wait_s)
        other.end(how)
        other.start()
        with Link(other.stand.place, stand.one, keep=True) as link:
            kept, heard = link.session_kept, other.stand.numbers(link, MESSAGES, 5.0)
    if not kept or heard != list(range(MESSAGES)):
        raise Red(f"session {'kept' if kept else 'lost'}, {len(heard)} of {MESSAGES} messages kept", remedy)
    return f"session and {MESSAGES} of {MESSAGES} acknowledged messages kept"


def _first_listener(conf: Configuration) -> list[tuple[str, str]]:
    """The general options and those of the first listener."""
    lines: list[tuple[str, str]] = []
    listeners = 0
    for name, value in conf.lines:
        listeners += name == "listener"
        if listeners < 2:
            lines.append((name, value))
    return lines


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
