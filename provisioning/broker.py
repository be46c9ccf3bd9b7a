"""The configuration of the fleet's MQTT broker (mosquitto 2.0.11 or newer) as code.

Every line answers something measured on Debian 12's version. The client id is the certificate's name, because
otherwise one kit's certificate takes over another kit's session. Saved every few seconds, never at every
change, which would write the whole store at every message (docs/decisions/0131).
A revocation list always, also because without the list of its issuer a certificate that was never meant for
TLS (an officer's) would pass. Who may do what is kept by the dynamic security plugin, which checks SUBSCRIBE
(an acl_file checks delivery alone) and ends live sessions; the fleet server manages it from then on.
No persistent_client_expiration: a session that ends can take mosquitto with it (docs/decisions/0147).
"""

import json
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from protocol import access
from protocol.messages import MAX_BYTES
from provisioning.durable import write_secret, write_whole

MAX_PACKET_BYTES = 2 * MAX_BYTES  # an envelope, its topic, and room
SAVED_EVERY_S = 5  # what a killed broker may forget: kits and fleet say it again
WORKER = "fleet-ingest-1"


@dataclass(frozen=True)
class BrokerSettings:
    """`folder` gets `mosquitto.conf`, the plugin's `dynsec.json`, the broker's database. All files are PEM.

    `authorities`: the root and the issuing CAs of `kit-tls` and `ingest`; `revoked`: one list per issuing CA;
    `certificate`: the broker's, then its issuing CA; `workers`: names (CN) of the `ingest` certificates;
    `kits`: those that the broker knows from the start, before the fleet server has told it of any."""

    folder: Path
    authorities: Path
    revoked: Path
    certificate: Path
    key: Path
    port: int
    addresses: tuple[str, ...] = ("127.0.0.1",)
    workers: tuple[str, ...] = (WORKER,)
    kits: tuple[str, ...] = ()


class BrokerError(Exception):
    """The broker cannot be set up here; the message says what to do."""


def write(settings: BrokerSettings) -> Path:
    """Write the configuration into the folder, made if missing; the configuration's path. BrokerError.

    A `dynsec.json` that is there stays: it is the broker's, and holds what the fleet told it."""
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    who = settings.folder / "dynsec.json"
    if not who.exists():
        write_secret(who, json.dumps(access.first_file(settings.workers, settings.kits), indent=1).encode())
    path = settings.folder / "mosquitto.conf"
    write_whole(path, configuration(settings, user_here()).encode())
    return path


def plugin() -> Path:
    """Where Debian put the dynamic security plugin. BrokerError when it is not installed."""
    found = [*Path("/usr/lib").glob("mosquitto_dynamic_security.so")]
    found += Path("/usr/lib").glob("*/mosquitto_dynamic_security.so")
    if not found:
        raise BrokerError(
            "mosquitto's dynamic security plugin is missing: apt install mosquitto (2.0 or newer)"
        )
    return found[0]


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
        f"plugin {_path(plugin())}",
        f"plugin_opt_config_file {_path(folder / 'dynsec.json')}",
        f"pid_file {_path(folder / 'mosquitto.pid')}",
        "persistence true",
        f"persistence_location {_path(folder)}/",
        "autosave_on_changes false",
        f"autosave_interval {SAVED_EVERY_S}",
        f"max_packet_size {MAX_PACKET_BYTES}",
        "max_inflight_messages 4000",  # four batches of the ingest; a kit bounds its own
        "max_queued_messages 20000",  # what a thousand kits say while the ingest restarts
        "max_keepalive 120",
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


def user_for(euid: int) -> str | None:
    """Who the broker should stay: root itself when root starts it, as only root can read the folder then."""
    return pwd.getpwuid(euid).pw_name if euid == 0 else None


def user_here() -> str | None:
    """As `user_for`, of who runs this."""
    return user_for(os.geteuid())


def _path(path: Path) -> str:
    return _line(str(path.resolve()))


def _line(text: str) -> str:
    if not text.isprintable() or text != text.strip() or not text:
        raise ValueError(f"does not fit on a line of mosquitto.conf: {text[:80]!r}")
    return text
