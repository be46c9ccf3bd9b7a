"""The configuration of the fleet's MQTT broker (mosquitto 2.0.11 or newer) as code.

Every line answers something measured on Debian 12's version. The client id is the certificate's name, because
otherwise one kit's certificate takes over another kit's session. Autosave on every change, because a broker
that is killed otherwise forgets what it has acknowledged. A revocation list always, also because without the
list of its issuer a certificate that was never meant for TLS (an officer's) would pass. An acl_file does not
check SUBSCRIBE, only delivery: so nobody uses `$share` on this broker.
"""

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol.identity import HOST_NAME
from protocol.messages import MAX_BYTES
from protocol.topics import Tail
from provisioning.durable import write_whole

MAX_PACKET_BYTES = 2 * MAX_BYTES  # an envelope, its topic, and room
WORKER = "fleet-ingest-1"


@dataclass(frozen=True)
class BrokerSettings:
    """`folder` gets `mosquitto.conf`, `acl` and the broker's database. All files are PEM.

    `authorities`: the root and the issuing CAs of `kit-tls` and `ingest`; `revoked`: one list per issuing CA;
    `certificate`: the broker's, then its issuing CA; `workers`: names (CN) of the `ingest` certificates."""

    folder: Path
    authorities: Path
    revoked: Path
    certificate: Path
    key: Path
    port: int
    addresses: tuple[str, ...] = ("127.0.0.1",)
    workers: tuple[str, ...] = (WORKER,)


def write(settings: BrokerSettings) -> Path:
    """Write configuration and access list into the folder, made if missing; the configuration's path."""
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(settings.folder / "acl", access_list(settings.workers).encode())
    path = settings.folder / "mosquitto.conf"
    write_whole(path, configuration(settings, user_for(os.geteuid())).encode())
    return path


def command(configuration_file: Path) -> list[str]:
    """The program and its arguments; it stays in the foreground and logs to stderr."""
    return ["mosquitto", "-c", str(configuration_file)]


def configuration(settings: BrokerSettings, user: str | None = None) -> str:
    """The text of mosquitto.conf. `user` is who mosquitto becomes when root starts it (else `mosquitto`,
    which cannot read a folder of root's). ValueError for a path or address that does not fit on a line."""
    folder = settings.folder.resolve()
    lines = [
        "per_listener_settings false",
        "allow_anonymous false",
        *([f"user {user}"] if user else []),
        f"acl_file {_path(folder / 'acl')}",
        "persistence true",
        f"persistence_location {_path(folder)}/",
        "autosave_on_changes true",
        "autosave_interval 1",
        f"max_packet_size {MAX_PACKET_BYTES}",
        "max_inflight_messages 500",  # a batch of the ingest; a kit bounds its own by its receive maximum
        "max_queued_messages 20000",  # what a thousand kits say while the ingest restarts
        "max_keepalive 120",
        "persistent_client_expiration 30d",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
    ]
    for address in settings.addresses:
        lines += [
            f"listener {settings.port:d} {_line(address)}",
            "tls_version tlsv1.3",
            f"cafile {_path(settings.authorities)}",
            f"certfile {_path(settings.certificate)}",
            f"keyfile {_path(settings.key)}",
            f"crlfile {_path(settings.revoked)}",
            "require_certificate true",
            "use_identity_as_username true",
            "use_username_as_clientid true",
        ]
    return "\n".join(lines) + "\n"


def access_list(workers: Sequence[str]) -> str:
    """A kit speaks and hears only under its own name; a worker hears all kits and answers them."""
    lines = [
        "pattern write tl/v1/kit/%u/up/#",
        "pattern write tl/v1/kit/%u/state/#",
        "pattern read tl/v1/kit/%u/down/#",
        f"pattern read tl/v1/{Tail.FLEET}",
    ]
    for worker in workers:
        if HOST_NAME.fullmatch(worker) is None:
            raise ValueError(f"not a name for an ingest worker: {worker[:40]!r}")
        lines += [
            f"user {worker}",
            "topic read tl/v1/kit/+/up/#",
            "topic read tl/v1/kit/+/state/#",
            "topic write tl/v1/kit/+/down/#",
            f"topic readwrite tl/v1/{Tail.FLEET}",
        ]
    return "\n".join(lines) + "\n"


def user_for(euid: int) -> str | None:
    """Who the broker should stay: root itself when root starts it, as only root can read the folder then."""
    return pwd.getpwuid(euid).pw_name if euid == 0 else None


def _path(path: Path) -> str:
    return _line(str(path.resolve()))


def _line(text: str) -> str:
    if not text.isprintable() or text != text.strip() or not text:
        raise ValueError(f"does not fit on a line of mosquitto.conf: {text[:80]!r}")
    return text
