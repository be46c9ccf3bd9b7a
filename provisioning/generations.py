"""The generations of an authority: which is the present one, which are trusted, and how one is made.

Generation 1 lies in the authority's folder itself, generation n in `generation-n/`. `generations.json` says
which is in use; replacing that one file is what turns a page, so a power cut leaves one state or the other.
"""

from pathlib import Path
from typing import get_args

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from provisioning.certificates import Branch, authority_certificate, key_pem, pem
from provisioning.durable import write_secret, write_whole

BRANCHES: tuple[Branch, ...] = get_args(Branch)
ROOT_YEARS = 20
ISSUING_YEARS = 5


class AuthorityError(Exception):
    """The authority was asked for something it does not do; the message says what and is fit for a person."""


class Generations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`former`: the one that the present one takes over from, 0 when nobody needs it any more. `begun`: the
    next one has its issuing CAs, and is about to take over."""

    present: int = 1
    former: int = 0
    begun: bool = False

    @property
    def next(self) -> int:
        return self.present + 1

    @property
    def issuing(self) -> tuple[int, ...]:
        """Those with issuing CAs that count, and so with revocation lists."""
        return (self.present, *([self.next] if self.begun else []), *([self.former] if self.former else []))

    @property
    def trusted(self) -> tuple[int, ...]:
        """Those whose root everybody trusts: always the next one as well."""
        return (self.present, self.next, *([self.former] if self.former else []))


def place_of(folder: Path, generation: int) -> Path:
    return folder if generation == 1 else folder / f"generation-{generation}"


def read_generations(folder: Path) -> Generations:
    """AuthorityError when the file is there and cannot be read."""
    path = folder / "generations.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Generations)
    except FileNotFoundError:
        return Generations()
    except msgspec.DecodeError as problem:
        raise AuthorityError(f"{path}: {problem}") from problem


def write_generations(folder: Path, generations: Generations) -> None:
    write_secret(folder / "generations.json", msgspec.json.encode(generations))


def make_root(place: Path, organisation: str, generation: int) -> None:
    """A root in `place`, its certificate and its key."""
    write_root(place, organisation, generation, new_root_key(place))


def new_root_key(place: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP384R1())
    write_secret(place / "root" / "key.pem", key_pem(key))
    return key


def write_root(place: Path, organisation: str, generation: int, key: ec.EllipticCurvePrivateKey) -> None:
    name = ca_name(organisation, "root", generation)
    root = authority_certificate(name, key.public_key(), name, key, ROOT_YEARS, 1)
    write_whole(place / "root" / "certificate.pem", pem(root))


def make_issuing(
    place: Path, organisation: str, generation: int, root_key: ec.EllipticCurvePrivateKey
) -> None:
    """The issuing CAs of a generation, below its root."""
    root_name = ca_name(organisation, "root", generation)
    for branch in BRANCHES:
        key = ec.generate_private_key(ec.SECP384R1())
        name = ca_name(organisation, branch, generation)
        certificate = authority_certificate(name, key.public_key(), root_name, root_key, ISSUING_YEARS, 0)
        write_secret(place / branch / "key.pem", key_pem(key))
        write_whole(place / branch / "certificate.pem", pem(certificate))


def private_key(ca: Path) -> ec.EllipticCurvePrivateKey:
    """The key in the folder of a CA. AuthorityError when it is not there, or not one of ours."""
    try:
        key = serialization.load_pem_private_key((ca / "key.pem").read_bytes(), None)
    except FileNotFoundError as problem:
        raise AuthorityError(f"{ca / 'key.pem'} is not there: bring it from the safe") from problem
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError(f"the key of {ca} is not an elliptic curve key")
    return key


def ca_name(organisation: str, which: str, generation: int) -> x509.Name:
    """Each generation has names of its own: a verifier finds lists and issuers by name."""
    number = f" {generation}" if generation > 1 else ""
    return x509.Name(
        [
            x509.NameAttribute(x509.oid.NameOID.ORGANIZATION_NAME, "Thuisloket"),
            x509.NameAttribute(x509.oid.NameOID.ORGANIZATIONAL_UNIT_NAME, "authority"),
            x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, f"{organisation} {which} CA{number}"[-64:]),
        ]
    )
