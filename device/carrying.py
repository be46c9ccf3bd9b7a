"""`thuisloket-kit courier`: sealed packets out to a stick and in from one, receipts in; for where no network
comes."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from device.agent import courier as carrying
from device.agent.clock import SystemClock
from device.agent.courier import Moved
from device.agent.learnt import with_learnt
from device.agent.recipients import Recipients, read_public_key
from device.config import Config, load
from device.errors import Code, KitError, Remedy
from device.spool.lists import ListDesk
from device.spool.spool import Spool
from device.spool.stick import NoStick, Stick

REFUSED = 3

ConfigFile = Annotated[Path, typer.Option("--config", help="kit.toml", dir_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="the stick, or any folder")]

_OUTCOMES = {
    "taken": "copied",
    "there": "was there already",
    "not-ours": "is for another kit, left on the stick",
    "refused": "REFUSED",
}
_SUSPECT = "do not use this stick, call the help desk"
_WHY = {
    "truncated": "the file is cut off: the stick was pulled out too early; export it again",
    "not-a-packet": "this is no sealed application",
    "payload-digest": "the file is damaged; export it again",
    "trailing-bytes": "the file is damaged; export it again",
    "too-large": "the file is larger than any application",
    "differs": f"another file than the one of this name on this kit: {_SUSPECT}",
    "wrong-packet-id": f"the file has the name of another one: {_SUSPECT}",
    "kit-signature": f"not signed by the kit it names: {_SUSPECT}",
    "officer-signature": f"not signed by the officer it names: {_SUSPECT}",
    "certificate-untrusted": "from a kit of another fleet",
    "from-the-future": "dated later than today: is the clock of this kit right?",
    "receipt-untrusted": "a receipt that the competent service has not signed",
    "receipt-of-another": f"a receipt with the name of another one: {_SUSPECT}",
}

courier = typer.Typer(no_args_is_help=True, help="Sealed applications and receipts on a stick.")


@courier.command("export")
def export_command(folder: Folder, config: ConfigFile, as_json: Json = False) -> None:
    """Put every sealed application that still waits onto the stick. It stays on the kit too. May be done
    twice."""
    settings = load(config)
    with _at(settings, folder, make=True) as (spool, stick):
        _tell(list(carrying.export_packets(spool, stick)), as_json)


@courier.command("import")
def import_command(folder: Folder, config: ConfigFile, as_json: Json = False) -> None:
    """Take in what is on the stick: applications of any kit, to be sent from here, and receipts for this
    one."""
    settings = load(config)
    now = SystemClock().now()
    list_key, brought = read_public_key(settings.trust_list_key), ListDesk(settings.spool).brought
    recipients = Recipients(settings.trust_recipients, list_key, brought)
    with _at(settings, folder, make=False) as (spool, stick):
        roots = with_learnt(carrying.read_roots(settings.uplink.ca), settings.signing())
        moved = list(carrying.import_packets(spool, stick, roots, now))
        if stick.receipts():
            moved += carrying.import_receipts(spool, stick, recipients.receipt_keys(now), settings.kit_id)
        _tell(moved, as_json)


@contextmanager
def _at(settings: Config, folder: Path, *, make: bool) -> Iterator[tuple[Spool, Stick]]:
    """KitError when there is no stick, or it is full or pulled out in between."""
    spool = Spool(settings.spool)
    try:
        with Stick(folder, make=make) as stick:
            yield spool, stick
    except NoStick as problem:
        raise KitError(Code.BAD_CONFIG, Remedy.RETRY, str(problem)) from problem
    except OSError as problem:
        raise KitError(Code.DISK_FULL, Remedy.RETRY, f"{folder}: {problem.strerror}; try again") from problem
    finally:
        spool.close()


def _tell(moved: list[Moved], as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"files": [asdict(each) for each in moved]}) + "\n")
    else:
        for each in moved:
            why = f": {_WHY.get(each.code, each.code)}" if each.code else ""
            sys.stdout.write(f"{each.what:8} {each.packet_id}  {_OUTCOMES[each.outcome]}{why}\n")
        sys.stdout.write(f"{len(moved)} files\n" if moved else "there is nothing to carry\n")
    if any(each.outcome == "refused" for each in moved):
        raise typer.Exit(REFUSED)
