"""The TPM as key source: officers' shares behind a PIN that the TPM itself counts, and the kit's own key.

An NV index for each officer does the counting (TPM_NT_PIN_FAIL). The TPM's dictionary-attack lockout also
counts every power cut after a PIN (decision 0085); an index knows only wrong proofs, stops at its own limit,
and starts over after a right one. Nothing else of the kit ever waits for it.
"""

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from device.drivers.keys.tpm import marshal, shapes
from device.drivers.keys.tpm.chip import Chip, gone
from device.drivers.keys.tpm.marshal import BadAnswer, TpmError
from device.drivers.keys.tpm.shapes import PinIndex
from device.drivers.keys.tpm.talk import Blob, Talk
from device.errors import Code, KitError, Remedy
from device.ports import Enclosed

SECRET = 32  # bytes
LARGEST = 4096  # bytes of the file that says what the kit has in its TPM

_WRONG = (marshal.AUTH_FAIL, marshal.BAD_AUTH)
_Part = Annotated[bytes, msgspec.Meta(max_length=1024)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`path`, `tls`: files that `keys make` writes; `tries`: wrong PINs before the TPM gives no more."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    tls: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    device: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] = "/dev/tpmrm0"
    tries: Annotated[int, msgspec.Meta(ge=3, le=10)] = 5


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """The file: which TPM it is, and what it wraps for this kit. Useless to another TPM; no secret."""

    version: Literal[1]
    storage: _Part
    device_private: _Part
    device_public: _Part
    sign_private: _Part
    sign_public: _Part


class _Ticket(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    version: Literal[1]
    index: Annotated[int, msgspec.Meta(ge=shapes.INDEXES.start, lt=shapes.INDEXES.stop)]
    writer: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    private: _Part
    public: _Part


class TpmKeySource:
    """Behind `ports.KeySource`. Every call is a conversation of its own: nothing stays in the TPM between."""

    protection: Literal["hardware", "reduced"] = "hardware"

    def __init__(self, chip: Chip, path: Path, tries: int = 5) -> None:
        self._chip = chip
        self._path = path
        self._tries = tries

    def device_secret(self) -> bytes:
        held = self._held()
        return self.open_sealed(Blob(held.device_private, held.device_public))

    def enclose(self, proof: bytes) -> Enclosed:
        secret = secrets.token_bytes(SECRET)
        with self._talk() as (talk, held, storage):
            session = talk.session(storage)
            writer = ec.generate_private_key(ec.SECP256R1())  # signs once, below, and is gone
            known = shapes.name(shapes.external_key(writer.public_key()))
            policy = shapes.extend(shapes.POLICY_SIGNED, known)
            index = next((i for i in shapes.INDEXES if talk.index_name(i) is None), None)
            if index is None:
                raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, "the TPM has no room for another PIN")
            at = PinIndex(index, policy)
            session = talk.define(session, at, proof)
            talk.limit(talk.session(storage, policy=True), at, writer, self._tries)
            template = shapes.sealed_template(at.policy())
            _, blob = talk.create(session, held.storage, template, secret)
        ticket = _Ticket(1, index, policy, blob.private, blob.public)
        return Enclosed(secret, msgspec.msgpack.encode(ticket))

    def release(self, ticket: bytes, proof: bytes) -> bytes:
        told = _read_ticket(ticket)
        at, blob = PinIndex(told.index, told.writer), Blob(told.private, told.public)
        with self._talk() as (talk, held, storage):
            if talk.index_name(at.index) != at.name():
                raise _damaged("the TPM no longer knows this officer's PIN")
            session = talk.session(storage)
            session, sealed = talk.load(session, held.storage, blob)
            policy = talk.session(storage, policy=True)
            try:
                talk.prove(session, policy, at, proof)
            except TpmError as refused:
                used_up = refused.code in _WRONG and talk.used_up(at.index)
                raise _not_proven(refused, used_up) from refused
            return talk.unseal(policy, sealed, blob)

    def forget(self, ticket: bytes) -> None:
        try:
            told = _read_ticket(ticket)
        except KitError:
            return  # nothing of ours
        with self._talk() as (talk, _, _):
            if talk.index_name(told.index) == PinIndex(told.index, told.writer).name():
                talk.undefine(told.index)

    def keep_only(self, tickets: Collection[bytes]) -> None:
        known = {told.index: PinIndex(told.index, told.writer).name() for told in map(_read_ticket, tickets)}
        with self._talk() as (talk, _, _):
            for index in talk.pin_indexes():
                if talk.index_name(index) != known.get(index):
                    talk.undefine(index)

    # --- without a PIN --------------------------------------------------------------------------------

    def seal(self, data: bytes) -> Blob:
        """Wrap up to 128 bytes for this TPM alone; whoever may speak to it can open them."""
        with self._talk() as (talk, held, storage):
            return talk.create(talk.session(storage), held.storage, shapes.sealed_template(b""), data)[1]

    def open_sealed(self, blob: Blob) -> bytes:
        with self._talk() as (talk, held, storage):
            session, handle = talk.load(talk.session(storage), held.storage, blob)
            return talk.unseal(session, handle, blob)

    def sign_public(self) -> ec.EllipticCurvePublicKey:
        return shapes.point(self._held().sign_public, shapes.SIGN_ATTRIBUTES)

    def sign(self, digest: bytes) -> tuple[int, int]:
        """ECDSA P-256 by the kit's own key over a SHA-256 digest: (r, s). Needs no PIN."""
        with self._talk() as (talk, held, storage):
            blob = Blob(held.sign_private, held.sign_public)
            session, handle = talk.load(talk.session(storage), held.storage, blob)
            return talk.sign(session, handle, blob, digest)

    # --- inside -------------------------------------------------------------------------------------------

    def _held(self) -> Held:
        try:
            with self._path.open("rb") as file:
                data = file.read(LARGEST + 1)
            return msgspec.msgpack.decode(data[:LARGEST], type=Held)
        except OSError as problem:
            detail = f"{self._path}: {problem.strerror}; `keys make` writes it"
            raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, detail) from problem
        except msgspec.DecodeError as problem:
            detail = f"{self._path}: not what `keys make` wrote"
            raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, detail) from problem

    @contextmanager
    def _talk(self) -> Iterator[tuple[Talk, Held, ec.EllipticCurvePublicKey]]:
        """A conversation with the TPM that the file is of, and with no other."""
        held = self._held()
        with translated(), self._chip.line() as line:
            talk = Talk(line)
            if talk.storage_key() != held.storage:
                detail = "this is not the TPM that the kit was set up with, or it was cleared"
                raise KitError(Code.OTHER_DEVICE, Remedy.WORKSHOP, detail)
            yield talk, held, shapes.point(held.storage, shapes.STORAGE_ATTRIBUTES)


def make(chip: Chip) -> bytes:
    """Set a TPM up for a kit: storage key, identity key, device secret; the content of the file to keep.

    Everything `noda`, so that neither wrong PINs nor power cuts ever stop it."""
    with translated(), chip.line() as line:
        talk = Talk(line)
        if talk.storage_key() is None:
            talk.make_storage_key()
        storage = talk.storage_key() or b""
        key = shapes.point(storage, shapes.STORAGE_ATTRIBUTES)
        session, sign = talk.create(talk.session(key), storage, shapes.sign_template())
        template = shapes.sealed_template(b"")
        _, device = talk.create(session, storage, template, secrets.token_bytes(SECRET))
    return msgspec.msgpack.encode(Held(1, storage, device.private, device.public, sign.private, sign.public))


@contextmanager
def translated() -> Iterator[None]:
    """What the TPM said, in the kit's words."""
    try:
        yield
    except TpmError as refused:
        if refused.code in (marshal.INTEGRITY, marshal.HANDLE):
            raise _damaged(str(refused)) from refused
        raise gone(str(refused)) from refused
    except BadAnswer as strange:
        raise gone(str(strange)) from strange


def _read_ticket(ticket: bytes) -> _Ticket:
    try:
        return msgspec.msgpack.decode(ticket, type=_Ticket)
    except msgspec.DecodeError as problem:
        raise _damaged("not a ticket of this key source") from problem


def _not_proven(refused: TpmError, used_up: bool) -> KitError:
    if used_up or refused.code == marshal.AUTH_UNAVAILABLE:
        return KitError(Code.PIN_BLOCKED, Remedy.WORKSHOP)
    if refused.code in _WRONG:
        return KitError(Code.WRONG_PIN, Remedy.RETRY)
    return gone(str(refused))


def _damaged(detail: str) -> KitError:
    return KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, detail)
