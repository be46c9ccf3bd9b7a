"""The chain of custody of one sealed application: who had it when, each hand-over a signed step that names
the step before it. An auditor with the roots and the services' list keys checks it offline.

The fleet signs every step; what another party says of it (the kit that sealed and that destroyed, the service
that answered) lies beside it as that party's own signed document, named by its digest in the step. Pure.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Literal, get_args

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta

from protocol import canonical, signed
from protocol.bad import Bad
from protocol.instant import PATTERN as INSTANT
from protocol.instant import read_instant

KIND = "custody"
FIRST = "0" * 64
MOST_STEPS, MOST_DOCUMENTS = 16, 32
LONGEST = 1024 * 1024  # bytes of a whole chain as a file

Name = Literal["sealed", "committed", "erased", "forwarded", "answered", "deleted", "purged"]
"""sealed by the kit; committed by the fleet; erased: the kit destroyed the key of the captures; forwarded to
the service; answered by it; deleted: the kit destroyed the packet; purged: the fleet destroyed its copy."""
NAMES: tuple[Name, ...] = get_args(Name)
WITNESSED: frozenset[Name] = frozenset({"sealed", "erased", "answered", "deleted"})
"""Steps that another party than the fleet signs for, in a document of its own."""
ORDER: tuple[Name, ...] = ("sealed", "committed", "forwarded", "answered")
"""These come in this order; the destructions at any place behind `committed`."""

_Ulid = Annotated[str, Meta(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")]
_Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Instant = Annotated[str, Meta(pattern=INSTANT)]


class BadCustody(Bad):
    """Not a chain, or not a step, as docs/protocol.md 10 has it. code: custody-malformed."""


class _Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Step(_Member, frozen=True, kw_only=True):
    """`n` counts from 1; `prev` is the digest of step n-1; `at` is when the fleet learnt of it; `evidence` is
    the SHA-256 of the other party's document, empty where the step is the fleet's own."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    packet_id: _Ulid
    manifest_sha256: _Digest
    n: Annotated[int, Meta(ge=1, le=MOST_STEPS)]
    prev: _Digest
    step: Name
    at: _Instant
    evidence: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""


class Signed(_Member, frozen=True, kw_only=True):
    """What the fleet's custody key signs: a step, and when it was signed."""

    signed: _Instant
    step: Step


class Chain(_Member, frozen=True, kw_only=True):
    """A chain as a file: its steps in order, as compact JWS, and the documents they name."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    packet_id: _Ulid
    steps: Annotated[tuple[str, ...], Meta(max_length=MOST_STEPS)]
    documents: Annotated[tuple[str, ...], Meta(max_length=MOST_DOCUMENTS)]


class Sealing(_Member, frozen=True, kw_only=True):
    """The document of `sealed`: the text of manifest.json and the kit's detached signature over it."""

    kit: str
    manifest: str


def digest(step: Step) -> str:
    """What the next step's `prev` is."""
    return sha256(canonical.dumps(msgspec.to_builtins(step)).decode())


def sha256(text: str) -> str:
    """The name of a document."""
    return hashlib.sha256(text.encode()).hexdigest()


def sealing(manifest: bytes, kit_signature: str) -> str:
    """The document of `sealed`, as canonical JSON."""
    document = Sealing(kit=kit_signature, manifest=manifest.decode())
    return canonical.dumps(msgspec.to_builtins(document)).decode()


def sign_step(
    step: Step, signed_at: str, key: ec.EllipticCurvePrivateKey, chain: Sequence[x509.Certificate]
) -> str:
    """Compact JWS with the custodian's certificate and its issuer in it. BadCustody for no step at all."""
    payload = canonical.dumps(msgspec.to_builtins(Signed(signed=signed_at, step=step)))
    read_signed(payload)
    return signed.sign(KIND, payload, key, signed.key_id(key.public_key()), chain)


def read_signed(payload: bytes) -> Signed:
    """BadCustody custody-malformed."""
    try:
        held = msgspec.convert(canonical.loads(payload, 4096), Signed)
        read_instant(held.signed), read_instant(held.step.at)
        if canonical.dumps(msgspec.to_builtins(held)) != payload:
            raise ValueError("a member is missing")
        if (held.step.step in WITNESSED) != bool(held.step.evidence):
            raise ValueError("evidence goes with what another party signs for, and only with it")
        if (held.step.n == 1) != (held.step.prev == FIRST):
            raise ValueError("the first step, and only it, has none before it")
    except (ValueError, msgspec.ValidationError) as problem:
        raise BadCustody("custody-malformed", str(problem)[:200]) from problem
    return held


def write_chain(chain: Chain) -> bytes:
    return canonical.dumps(msgspec.to_builtins(chain)) + b"\n"


def read_chain(data: bytes) -> Chain:
    """BadCustody custody-malformed."""
    try:
        return msgspec.convert(canonical.loads(data.removesuffix(b"\n"), LONGEST), Chain)
    except (canonical.NotCanonical, msgspec.ValidationError) as problem:
        raise BadCustody("custody-malformed", str(problem)[:200]) from problem
