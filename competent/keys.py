"""`python -m competent.keys`: make a reference service's keys, and issue (again) its signed recipient list.

Keys that are there stay; each run issues the list anew. Secret: `current.age`, `next.age` (age identities)
or, for a service that takes CMS, `current.key`, `next.key`; `list.key`, `receipt.key` (PEM). Public:
`list-key.pem`, `recipients.jws`, `service.json`.
"""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from competent.failure import Failed
from competent.trust import read_identities, read_private_key
from protocol.identity import SERVICE_ID
from protocol.instant import write_instant
from protocol.sealed import age
from protocol.sealed.recipients import (
    LONGEST_LIFE,
    Recipient,
    RecipientList,
    cms_recipient,
    receipt_key,
    sign_list,
)

Suite = Literal["age1pq", "cms-p256-gcm"]
IDENTITIES = ("current.age", "next.age")
CMS_KEYS = ("current.key", "next.key")
LIST_KEY = "list.key"
RECEIPT_KEY = "receipt.key"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def keys(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The service's key folder.")],
    service: Annotated[str, typer.Option(metavar="ID", help="e.g. be.ibz.belpic")],
    expires_days: Annotated[int, typer.Option(min=1, max=LONGEST_LIFE.days, help="Life of the list.")] = 30,
    suite: Annotated[Suite, typer.Option(help="How kits are to seal.")] = "age1pq",
    rotate: Annotated[
        bool,
        typer.Option(
            "--rotate",
            help="`next` becomes `current`, and there is a fresh `next`. Once for each list at most.",
        ),
    ] = False,
    test: Annotated[bool, typer.Option("--test", help="Mark the list as made for tests.")] = False,
) -> None:
    """Make the keys that are not there yet and issue the recipient list for so many days from now."""
    if not SERVICE_ID.fullmatch(service):
        raise typer.BadParameter("a service id looks like be.ibz.belpic")
    try:
        if rotate:
            turn_over(out, suite)
        make_keys(out, service, datetime.now(UTC), timedelta(days=expires_days), suite, test)
    except Failed as problem:
        typer.echo(f"failed: {problem}", err=True)
        raise typer.Exit(1) from problem


def make_keys(
    out: Path, service: str, now: datetime, life: timedelta, suite: Suite = "age1pq", test: bool = False
) -> None:
    """Make what is missing in `out` (mode 0700, secrets 0600) and issue the list. Failed."""
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        if suite == "age1pq":
            for name in IDENTITIES:
                _make(out / name, _new_identity())
        for name in (LIST_KEY, RECEIPT_KEY, *(CMS_KEYS if suite == "cms-p256-gcm" else ())):
            _make(out / name, _new_key())
        recipients = _list(out, service, now, life, suite, test)
        list_key = read_private_key(out / LIST_KEY)
        public = list_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        _replace(out / "list-key.pem", public, 0o644)
        _replace(out / "recipients.jws", sign_list(recipients, list_key).encode(), 0o644)
        _replace(out / "service.json", json.dumps(_about(recipients), indent=2).encode() + b"\n", 0o644)
    except OSError as problem:
        raise Failed("cannot-write", f"{problem.filename}: {problem.strerror}") from problem


def turn_over(out: Path, suite: Suite = "age1pq") -> None:
    """The key that was current is put beside the others as `former...`; every packet sealed until now opens
    with `current` too, which was its `next`. Failed."""
    current, coming = IDENTITIES if suite == "age1pq" else CMS_KEYS
    if not (out / current).exists() or not (out / coming).exists():
        raise Failed("no-keys", f"{out}: nothing to rotate; make the keys first")
    try:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        os.link(out / current, out / f"former-{stamp}-{current}")
        (out / coming).replace(out / current)
    except OSError as problem:
        raise Failed("cannot-write", f"{problem.filename}: {problem.strerror}") from problem


def _list(out: Path, service: str, now: datetime, life: timedelta, suite: Suite, test: bool) -> RecipientList:
    return RecipientList(
        service_id=service,
        suite=suite,
        test=test,
        issued=write_instant(now.replace(microsecond=0)),
        expires=write_instant(now.replace(microsecond=0) + life),
        recipients=_recipients(out, suite),
        receipt_keys=(receipt_key(read_private_key(out / RECEIPT_KEY).public_key()),),
    )


def _recipients(out: Path, suite: Suite) -> tuple[Recipient, ...]:
    if suite == "cms-p256-gcm":
        return tuple(cms_recipient(read_private_key(out / name).public_key()) for name in CMS_KEYS)
    public = [age.recipient_of(read_identities(out / name)[0]) for name in IDENTITIES]
    # a recipient's id is the end of its own spelling: checksum and last bits of the key
    return tuple(Recipient(kid=recipient[-16:], age1pq=recipient) for recipient in public)


def _about(recipients: RecipientList) -> dict[str, object]:
    return {
        "service_id": recipients.service_id,
        "suite": recipients.suite,
        "test": recipients.test,
        "issued": recipients.issued,
        "expires": recipients.expires,
        "recipients": [recipient.kid for recipient in recipients.recipients],
        "receipt_keys": [key.kid for key in recipients.receipt_keys],
    }


def _new_identity() -> bytes:
    identity, recipient = age.generate()
    return f"# public key: {recipient}\n{identity}\n".encode()


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _make(path: Path, data: bytes) -> None:
    """Write a secret, unless one is there."""
    if not path.exists():
        _replace(path, data)


def _replace(path: Path, data: bytes, mode: int = 0o600) -> None:
    """All of the new file or all of the old one, whatever happens in between."""
    waiting = path.with_name(f".{path.name}.new")
    waiting.unlink(missing_ok=True)
    descriptor = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    waiting.replace(path)


if __name__ == "__main__":
    app(prog_name="python -m competent.keys")
