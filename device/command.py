"""`thuisloket-kit`: the commands of a kit but for its two programs, their exit codes and what they print.

0 done, 1 failed (code and remedy on stderr), 2 usage, 3 input read but refused, 4 peripheral absent or gone,
130 cancelled. With `--json` one object on stdout; logs go to stderr.
"""

import base64
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from cryptography import x509

from device.agent import doctor as doctors
from device.agent import enrolling, founding
from device.agent import replay as replaying
from device.agent.clock import SystemClock
from device.agent.readiness import Check, is_ready, judge
from device.agent.recipients import Recipients, read_public_key, read_recovery_key
from device.carrying import courier
from device.config import Config, load
from device.drivers.eid.command import read_card_command
from device.drivers.fingerprint.command import scan_finger_command
from device.drivers.keys.node import too_open
from device.drivers.signpad.command import sign_command
from device.errors import Code, KitError, Refused, Remedy
from device.key_commands import keys
from device.spool.layout import Layout, is_claimed
from device.spool.lists import ListDesk
from device.vault.recovery import Administrator
from device.vault.security_keys import SecurityKey

DONE, FAILED, REFUSED, ABSENT, CANCELLED = 0, 1, 3, 4, 130

LONGEST_STDIN = 1024 * 1024
BELGIUM_ROOTS = Path("/etc/thuisloket/trust/cards")
KIT_TOML = Path("/etc/thuisloket/kit.toml")
"""Where a kit's image has the roots of real cards."""

_EXIT = {
    Code.BAD_CONFIG: REFUSED,
    Code.PERIPHERAL_ABSENT: ABSENT,
    Code.PERIPHERAL_GONE: ABSENT,
    Code.NO_READER: ABSENT,
    Code.CANCELLED: CANCELLED,
}

ConfigFile = Annotated[Path, typer.Option("--config", help="kit.toml", dir_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
Driver = Annotated[str, typer.Option(help="name of the driver, as in kit.toml")]
Port = Annotated[str, typer.Option(help="serial device")]
Timeout = Annotated[float, typer.Option(help="seconds", min=0.5, max=600)]

app = typer.Typer(
    help="One kit: the agent with its screens, its uplink, and tools for the one who looks after it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
officers = typer.Typer(no_args_is_help=True, help="Who may unlock this kit.")
app.add_typer(officers, name="officer")
app.add_typer(keys, name="keys")
app.add_typer(courier, name="courier")


def finish(code: int) -> NoReturn:
    """End the command with this exit code."""
    raise typer.Exit(code)


def call() -> None:
    """Do what the command line says, and exit."""
    try:
        app()
    except KitError as problem:
        sys.stderr.write(f"{problem.code} (remedy: {problem.remedy}) {problem.detail}\n")
        sys.exit(_EXIT.get(problem.code, FAILED))
    except Refused as refusal:
        sys.stderr.write(f"{refusal.code} {refusal.detail}\n")
        sys.exit(REFUSED)


@app.command(name="version")
def show_version() -> None:
    """Version of the program."""
    sys.stdout.write(f"thuisloket {version('thuisloket')}\n")


@app.command()
def init(config: ConfigFile, as_json: Json = False) -> None:
    """Make this kit's vault with its first officers, and print to whom the fleet seals its day bag.

    The officers come on stdin, as JSON: [{"officer_id", "name", "pin", "key_pem", "cert_pem"}]."""
    settings = load(config)
    try:
        roster = msgspec.json.decode(_stdin(), type=list[founding.NewOfficer])
    except msgspec.DecodeError as problem:
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"stdin: {problem}") from problem
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    _say_recipient(
        founding.found(
            settings.vault, settings.keys.source, SystemClock(), roster, administrator_of(settings)
        ),
        as_json,
    )


@officers.command()
def add(
    config: ConfigFile,
    officer_id: Annotated[str, typer.Option("--id", help="the name in the officer's certificate")],
    name: Annotated[str, typer.Option(help="as it stands on the screens")],
    key: Annotated[Path, typer.Option(help="signing key, PEM", dir_okay=False)],
    certificate: Annotated[Path, typer.Option(help="certificates, PEM, leaf first", dir_okay=False)],
    pin_stdin: Annotated[bool, typer.Option("--pin-stdin", help="read the PIN from stdin")],
    by: Annotated[str, typer.Option(help="an officer of this kit, who types a PIN too")] = "",
    as_json: Json = False,
) -> None:
    """Let an officer in. The first makes the vault; every later one needs the word of one who is in (`--by`).

    On stdin: the new officer's PIN, and on a second line the PIN of `--by`."""
    if not pin_stdin:
        raise typer.BadParameter("a PIN comes on stdin and nowhere else", param_hint="--pin-stdin")
    settings = load(config)
    pin, _, rest = _stdin().decode("utf-8", "replace").partition("\n")
    try:
        new = founding.NewOfficer(
            officer_id, name, pin.strip(), key.read_text("ascii"), certificate.read_text()
        )
    except (OSError, UnicodeDecodeError) as problem:
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"key or certificate: {problem}") from problem
    source, clock = settings.keys.source, SystemClock()
    if by:
        recipient = founding.add(
            settings.vault, source, clock, new, by, rest.strip(), administrator_of(settings)
        )
    else:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        recipient = founding.found(settings.vault, source, clock, [new], administrator_of(settings))
    _say_recipient(recipient, as_json)


@officers.command()
def remove(
    config: ConfigFile,
    officer_id: Annotated[str, typer.Option("--id", help="who may not unlock this kit any more")],
    by: Annotated[str, typer.Option(help="another officer of this kit, who types a PIN")],
    pin_stdin: Annotated[bool, typer.Option("--pin-stdin", help="read the PIN of --by from stdin")],
) -> None:
    """Shut an officer out for good; what is written from now on opens with no old key of theirs.

    The agent must stand still: it would go on with the keys of before."""
    if not pin_stdin:
        raise typer.BadParameter("a PIN comes on stdin and nowhere else", param_hint="--pin-stdin")
    settings = load(config)
    if is_claimed(Layout(settings.spool).agent_lock):
        raise Refused(Code.NOT_NOW, "stop the agent first")
    pin = _stdin().decode("utf-8", "replace").strip()
    founding.remove(settings.vault, settings.keys.source, SystemClock(), officer_id, by, pin)


@officers.command()
def card(
    config: ConfigFile,
    officer_id: Annotated[str, typer.Option("--id", help="the officer")],
    pin_stdin: Annotated[bool, typer.Option("--pin-stdin", help="read the PINs from stdin")],
    last_try: Annotated[
        bool, typer.Option("--last-try", help="give the card its last try: a wrong PIN blocks it")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="the kit's PIN alone will do again")] = False,
    as_json: Json = False,
) -> None:
    """Let an officer sign in only with the own eID as well, which is in the reader now; or no longer.

    On stdin: the officer's PIN of this kit, and on a second line the PIN of the eID (not with --remove)."""
    if not pin_stdin:
        raise typer.BadParameter("a PIN comes on stdin and nowhere else", param_hint="--pin-stdin")
    settings = load(config)
    kit_pin, _, rest = _stdin().partition(b"\n")
    pin, card_pin = kit_pin.decode("utf-8", "replace").strip(), bytearray(rest.strip())
    source, clock = settings.keys.source, SystemClock()
    if remove:
        enrolling.release(settings.vault, source, clock, officer_id, pin)
        _tell("removed", None, as_json)
        finish(DONE)
    reader = settings.drivers.card()
    try:
        proof = enrolling.enrol(
            settings.vault, source, clock, reader, settings.kit_id, officer_id, pin, card_pin, last_try
        )
    finally:
        reader.close()
    _tell(proof.outcome, proof.tries_left, as_json)
    finish(DONE if proof.outcome == "proven" else REFUSED)


@officers.command(name="key")
def security_key(
    config: ConfigFile,
    officer_id: Annotated[str, typer.Option("--id", help="the officer")],
    pin_stdin: Annotated[bool, typer.Option("--pin-stdin", help="read the PIN from stdin")],
    credential: Annotated[str, typer.Option(help="what the key calls itself, in base64url")] = "",
    certificate: Annotated[
        Path | None, typer.Option(help="certificates of role officer-key, PEM, leaf first", dir_okay=False)
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="the key under the PIN signs again")] = False,
) -> None:
    """Let an officer seal with a security key as well, or no longer. On stdin: the officer's PIN."""
    if not pin_stdin or remove == bool(credential and certificate):
        raise typer.BadParameter("--pin-stdin, and either --credential with --certificate or --remove")
    settings, key = load(config), None
    if certificate is not None:
        try:
            chain = x509.load_pem_x509_certificates(certificate.read_bytes())
            padded = credential + "=" * (-len(credential) % 4)
            key = SecurityKey(base64.b64decode(padded, altchars=b"-_", validate=True), tuple(chain))
        except (OSError, ValueError) as problem:
            raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"security key: {problem}") from problem
    pin = _stdin().decode("utf-8", "replace").strip()
    enrolling.enrol_key(settings.vault, settings.keys.source, SystemClock(), officer_id, pin, key)


@officers.command()
def key_request(
    config: ConfigFile, officer_id: Annotated[str, typer.Option("--id", help="the officer")]
) -> None:
    """Print what a security key said that was registered at the kiosk, for `thuisloket-provision officer
    key`. Holds no secret."""
    settings = load(config)
    sys.stdout.write(f"{enrolling.requested_key(settings.vault, officer_id)}\n")


def _tell(outcome: str, tries_left: int | None, as_json: bool) -> None:
    told = {"outcome": outcome, "tries_left": tries_left}
    left = "" if tries_left is None else f", tries left: {tries_left}"
    sys.stdout.write(json.dumps(told) + "\n" if as_json else f"{outcome}{left}\n")


@app.command()
def doctor(config: ConfigFile = KIT_TOML, as_json: Json = False) -> None:
    """Try everything a day's work needs: peripherals, storage, clock, certificates. Changes nothing."""
    try:
        checks = _examine(load(config))
    except KitError as problem:
        checks = (Check("config", "fail", " ".join((problem.code, problem.detail)), problem.remedy),)
    ready = is_ready(checks)
    if as_json:
        sys.stdout.write(json.dumps({"ready": ready, "checks": [asdict(check) for check in checks]}) + "\n")
    else:
        for check in checks:
            advice = f"  ({check.remedy})" if check.remedy else ""
            sys.stdout.write(f"{check.state:4}  {check.name:14} {check.detail}{advice}\n")
        sys.stdout.write("ready\n" if ready else "not ready\n")
    finish(DONE if ready else FAILED)


@app.command()
def replay(
    config: ConfigFile,
    visit_id: Annotated[str, typer.Argument(help="id of the visit; without it, every visit is listed")] = "",
    as_json: Json = False,
) -> None:
    """Tell a visit again from its journal: its stage, and a digest of its state. Needs no PIN.

    Without an id: every visit of this kit, the last begun first. With `--json` as `visits`."""
    settings = load(config)
    if not visit_id:
        _list_visits(replaying.replay_all(settings.vault, settings.catalogue), as_json)
        return
    told = asdict(replaying.replay(settings.vault, visit_id, settings.catalogue))
    if as_json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write("".join(f"{name:8} {value}\n" for name, value in told.items()))


def _list_visits(visits: Sequence[replaying.Replayed], as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"visits": [asdict(each) for each in visits]}) + "\n")
        return
    for each in visits:
        sys.stdout.write(f"{each.visit_id}  {each.begun}  {each.facts:3} facts  {each.stage}\n")


@app.command()
def read_card(
    reader: Annotated[str, typer.Option(help="its name, or how it begins; empty: the one with an eID")] = "",
    trust: Annotated[Path, typer.Option(help="folder of root certificates")] = BELGIUM_ROOTS,
    wait: Annotated[float, typer.Option(help="seconds to wait for a card", min=0, max=600)] = 0,
    as_json: Json = False,
) -> None:
    """Read and judge the eID in a reader."""
    finish(read_card_command(reader, trust, wait, as_json))


@app.command()
def scan_finger(
    driver: Driver,
    port: Port,
    out: Annotated[Path, typer.Option(help="PNG to write", dir_okay=False)],
    timeout: Timeout = 30,
    as_json: Json = False,
) -> None:
    """One fingerprint capture, with quality and hints."""
    finish(scan_finger_command(driver, port, out, timeout, as_json))


@app.command()
def sign(
    driver: Driver,
    port: Port,
    out: Annotated[Path, typer.Option(help="prefix of the .svg and .png to write")],
    timeout: Timeout = 120,
    as_json: Json = False,
) -> None:
    """One signature on the pad."""
    finish(sign_command(driver, port, out, timeout, as_json))


def _examine(config: Config) -> tuple[Check, ...]:
    drivers = config.drivers
    openers: dict[str, Callable[[], Any]] = {
        "card": drivers.card,
        "camera": drivers.camera,
        "fingerprint": drivers.fingerprint,
        "signature": drivers.signature,
    }
    found = doctors.examine(
        vault=config.vault,
        sys=config.health_sys,
        source=config.keys.source,
        key_device=too_open(config.keys.device) if config.keys.device is not None else "",
        recipients=lambda: Recipients(
            config.trust_recipients, read_public_key(config.trust_list_key), ListDesk(config.spool).brought
        ),
        services=tuple(config.catalogue),
        certificates={
            "kit-sign": config.signing().present().certificate,
            "kit-tls": config.uplink.held().present().certificate,
        },
        openers=openers,
        clock=SystemClock(),
    )
    return judge(found)


def administrator_of(config: Config) -> Administrator | None:
    """Who may make unlock codes for this kit's officers. KitError bad-config."""
    if config.trust_recovery_key is None:
        return None
    return Administrator(config.kit_id, read_recovery_key(config.trust_recovery_key))


def _stdin() -> bytes:
    data = sys.stdin.buffer.read(LONGEST_STDIN + 1)
    if len(data) > LONGEST_STDIN:
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"more than {LONGEST_STDIN} bytes on stdin")
    return data


def _say_recipient(recipient: str, as_json: bool) -> None:
    sys.stdout.write(json.dumps({"bag_recipient": recipient}) + "\n" if as_json else f"{recipient}\n")
