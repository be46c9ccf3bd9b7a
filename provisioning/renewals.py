"""Kits that ask for new certificates, answered by the authority itself.

What comes is in the hands of the fleet and of whoever carries it; what counts is the signature of the key
that is to be replaced, by a certificate of this authority that was not taken back.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cryptography import x509

from protocol import renewal
from protocol.identity import serial_of
from protocol.renewal import Asked, BadRenewal
from provisioning import rotation
from provisioning.ca import Authority
from provisioning.generations import AuthorityError

MOST = 1000  # requests at once
LARGEST = MOST * renewal.LONGEST


class Requests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    requests: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST)]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """To the request for the key `kid`: PEM, leaf first, or why not. `kid` is empty when even that could not
    be read."""

    kid: str
    chain: str = ""
    code: str = ""


class Answers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In the order of the requests. `authorities`: PEM, the roots to trust and what vouches for them."""

    answers: tuple[Answer, ...]
    authorities: str


def answer(authority: Authority, requests: Path) -> Answers:
    """AuthorityError when the file is not such a file."""
    try:
        data = requests.read_bytes()
        if len(data) > LARGEST:
            raise AuthorityError(f"{requests}: more than {LARGEST} bytes")
        asked = msgspec.json.decode(data, type=Requests)
    except OSError as problem:
        raise AuthorityError(f"{requests}: {problem.strerror}") from problem
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise AuthorityError(f"{requests}: {problem}") from problem
    roots = x509.load_pem_x509_certificates(authority.bundle("root"))
    told = authority.bundle("root") + rotation.links(authority)
    return Answers(tuple(_answer(authority, roots, token) for token in asked.requests), told.decode())


def _answer(authority: Authority, roots: list[x509.Certificate], token: str) -> Answer:
    try:
        asked = renewal.verify_asked(token, roots, datetime.now(UTC))
    except BadRenewal as problem:
        return Answer("", code=problem.code)
    code = _objection(authority, asked)
    if code:
        return Answer(asked.kid, code=code)
    return Answer(asked.kid, authority.certify(asked.role, asked.kit_id, asked.key).chain_pem.decode())


def _objection(authority: Authority, asked: Asked) -> str:
    """Why not, "" when there is nothing against it."""
    known = {entry.serial: gone for entry, gone in authority.issued()}
    gone = known.get(serial_of(asked.old))
    if gone is None:
        return "renewal-untrusted"  # an issuing CA that signed what its register does not know
    if gone:
        return "renewal-revoked"
    mine = (asked.role, asked.kit_id)
    others = any(
        entry.key == asked.kid and (entry.role, entry.name) != mine for entry, _ in authority.issued()
    )
    return "renewal-key" if others else ""
