"""What a kit asks of its TPM, command by command (TCG TPM 2.0 Library, part 3)."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from device.drivers.keys.tpm import marshal, shapes
from device.drivers.keys.tpm.chip import Line
from device.drivers.keys.tpm.marshal import Authorization, Reader, Response, TpmError, sized, u16, u32
from device.drivers.keys.tpm.secrecy import CONTINUE, DECRYPT, DIGEST, ENCRYPT, Session, kdf_a, salt_for
from device.drivers.keys.tpm.shapes import PinIndex

_EMPTY_PASSWORD = Authorization(b"", 0, b"", 0x40000009)  # TPM_RS_PW
_EVICT_CONTROL, _NV_UNDEFINE, _NV_DEFINE, _CREATE_PRIMARY, _NV_WRITE = 0x120, 0x122, 0x12A, 0x131, 0x137
_NV_READ, _CREATE, _LOAD, _SIGN, _UNSEAL, _LOAD_EXTERNAL = 0x14E, 0x153, 0x157, 0x15D, 0x15E, 0x167
_NV_READ_PUBLIC, _READ_PUBLIC, _START_SESSION, _GET_CAPABILITY = 0x169, 0x173, 0x176, 0x17A
_HANDLES, _AT_ONCE = 1, 64  # TPM_CAP_HANDLES
_HMAC_SESSION, _POLICY_SESSION = 0x00, 0x01
_HASHCHECK = 0x8024  # TPM_ST_HASHCHECK
_ECDSA_SHA256 = u16(0x18) + shapes.SHA256
_NEVER_LATER = u32(0)  # an expiration of none

T = TypeVar("T")


@dataclass(frozen=True)
class Blob:
    """An object outside the TPM: wrapped by its storage key, of no use to another TPM."""

    private: bytes
    public: bytes  # TPMT_PUBLIC


class Talk:
    """One conversation. TpmError when the TPM refuses, BadAnswer when it is not the TPM that answers."""

    def __init__(self, line: Line) -> None:
        self._line = line

    # --- storage key, sessions -------------------------------------------------------------------------

    def storage_key(self) -> bytes | None:
        """TPMT_PUBLIC of what lies at the storage key's place; None when nothing does."""

        def read() -> bytes:
            told = self._run(_READ_PUBLIC, (shapes.STORAGE_HANDLE,), (), b"", 0)
            return Reader(told.parameters).sized()

        return _unless(marshal.HANDLE, read)

    def make_storage_key(self) -> None:
        asked = sized(sized(b"") + sized(b"")) + sized(shapes.storage_template()) + sized(b"") + u32(0)
        made = self._hold(self._run(_CREATE_PRIMARY, (shapes.OWNER,), (_EMPTY_PASSWORD,), asked, 1))
        keep = u32(shapes.STORAGE_HANDLE)
        self._run(_EVICT_CONTROL, (shapes.OWNER, made), (_EMPTY_PASSWORD,), keep, 0)

    def session(self, storage: ec.EllipticCurvePublicKey, *, policy: bool = False) -> Session:
        """A session whose key only the TPM that holds `storage` can know."""
        salt, for_tpm = salt_for(storage)
        ours = secrets.token_bytes(DIGEST)
        kind = _POLICY_SESSION if policy else _HMAC_SESSION
        asked = sized(ours) + sized(for_tpm) + bytes([kind]) + shapes.AES_CFB + shapes.SHA256
        handles = (shapes.STORAGE_HANDLE, shapes.NULL)
        told = self._run(_START_SESSION, handles, (), asked, 1)
        theirs = Reader(told.parameters).sized()
        return Session(self._hold(told), kdf_a(salt, b"ATH", theirs, ours, DIGEST), theirs)

    # --- objects ----------------------------------------------------------------------------------------

    def create(
        self, session: Session, storage: bytes, template: bytes, data: bytes = b""
    ) -> tuple[Session, Blob]:
        """A new object under the storage key; `data` is what is to be sealed, empty for a key made there."""
        asked = sized(sized(b"") + sized(data)) + sized(template) + sized(b"") + u32(0)
        using = session.authorizing(b"", CONTINUE | DECRYPT)
        handles, names = (shapes.STORAGE_HANDLE,), (shapes.name(storage),)
        after, _, told = self._authorized(_CREATE, handles, names, using, asked, 0)
        reader = Reader(told)
        return after, Blob(reader.sized(), reader.sized())

    def load(self, session: Session, storage: bytes, blob: Blob) -> tuple[Session, int]:
        asked = sized(blob.private) + sized(blob.public)
        handles, names = (shapes.STORAGE_HANDLE,), (shapes.name(storage),)
        after, made, _ = self._authorized(_LOAD, handles, names, session.authorizing(b""), asked, 1)
        return after, made

    def unseal(self, session: Session, handle: int, blob: Blob) -> bytes:
        using = session.authorizing(b"", CONTINUE | ENCRYPT)
        _, _, told = self._authorized(_UNSEAL, (handle,), (shapes.name(blob.public),), using, b"", 0)
        return Reader(told).sized()

    def sign(self, session: Session, handle: int, blob: Blob, digest: bytes) -> tuple[int, int]:
        """ECDSA P-256 over a SHA-256: (r, s)."""
        asked = sized(digest) + shapes.NO_SCHEME + u16(_HASHCHECK) + u32(shapes.NULL) + sized(b"")
        names = (shapes.name(blob.public),)
        _, _, told = self._authorized(_SIGN, (handle,), names, session.authorizing(b""), asked, 0)
        reader = Reader(told)
        reader.take(4)
        return int.from_bytes(reader.sized()), int.from_bytes(reader.sized())

    # --- PIN indexes --------------------------------------------------------------------------------------

    def define(self, session: Session, at: PinIndex, proof: bytes) -> Session:
        asked = sized(proof) + sized(at.public(written=False))
        using = session.authorizing(b"", CONTINUE | DECRYPT)
        after, _, _ = self._authorized(_NV_DEFINE, (shapes.OWNER,), (u32(shapes.OWNER),), using, asked, 0)
        return after

    def limit(self, policy: Session, at: PinIndex, writer: ec.EllipticCurvePrivateKey, tries: int) -> None:
        """Set the index to so many wrong proofs, with the one key that may, in a session of its policy."""
        public = shapes.external_key(writer.public_key())
        asked = sized(b"") + sized(public) + u32(shapes.NULL)
        known = self._hold(self._run(_LOAD_EXTERNAL, (), (), asked, 1))
        said = writer.sign(policy.theirs + _NEVER_LATER, ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(said)
        signature = _ECDSA_SHA256 + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))
        asked = sized(policy.theirs) + sized(b"") + sized(b"") + _NEVER_LATER + signature
        self._run(shapes.POLICY_SIGNED, (known, policy.handle), (), asked, 0)
        name = at.name(written=False)
        asked = sized(u32(0) + u32(tries)) + u16(0)
        self._authorized(_NV_WRITE, (at.index, at.index), (name, name), policy.authorizing(b""), asked, 0)

    def prove(self, session: Session, policy: Session, at: PinIndex, proof: bytes) -> Session:
        """Satisfy the policy with the proof. TpmError when it is wrong: then the TPM has counted it."""
        asked = sized(b"") + sized(b"") + sized(b"") + _NEVER_LATER
        handles, names = (at.index, policy.handle), (at.name(), u32(policy.handle))
        after, _, _ = self._authorized(
            shapes.POLICY_SECRET, handles, names, session.authorizing(proof), asked, 0
        )
        return after

    def index_name(self, index: int) -> bytes | None:
        """The name of what is defined at `index`; None when nothing is."""

        def read() -> bytes:
            reader = Reader(self._run(_NV_READ_PUBLIC, (index,), (), b"", 0).parameters)
            reader.sized()
            return reader.sized()

        return _unless(marshal.HANDLE, read)

    def pin_indexes(self) -> list[int]:
        """Where something counts PINs, of the places that are ours; also one that was never finished."""
        found: list[int] = []
        more, first = True, shapes.INDEXES.start
        while more and first in shapes.INDEXES:
            asked = u32(_HANDLES) + u32(first) + u32(_AT_ONCE)
            reader = Reader(self._run(_GET_CAPABILITY, (), (), asked, 0).parameters)
            more = reader.number(1) == 1
            reader.take(4)
            told = [reader.number(4) for _ in range(min(reader.number(4), _AT_ONCE))]
            found += [index for index in told if index in shapes.INDEXES]
            first = told[-1] + 1 if told else shapes.INDEXES.stop
        return [index for index in found if self._counts_pins(index)]

    def _counts_pins(self, index: int) -> bool:
        reader = Reader(self._run(_NV_READ_PUBLIC, (index,), (), b"", 0).parameters)
        public = Reader(reader.sized())
        public.take(6)
        return shapes.is_pin_index(public.number(4))

    def used_up(self, index: int) -> bool:
        """Whether a PIN index lets nobody try any more."""
        told = self._run(_NV_READ, (shapes.OWNER, index), (_EMPTY_PASSWORD,), u16(8) + u16(0), 0)
        reader = Reader(Reader(told.parameters).sized())
        return reader.number(4) >= reader.number(4)

    def undefine(self, index: int) -> None:
        """Take an index away. One that is not there is fine."""
        _unless(
            marshal.HANDLE,
            lambda: self._run(_NV_UNDEFINE, (shapes.OWNER, index), (_EMPTY_PASSWORD,), b"", 0),
        )

    # --- inside -------------------------------------------------------------------------------------------

    def _authorized(
        self,
        code: int,
        handles: Sequence[int],
        names: Sequence[bytes],
        using: Session,
        asked: bytes,
        back: int,
    ) -> tuple[Session, int, bytes]:
        """One command under a session: (the session after it, the handle that came back or 0, what came
        back)."""
        hidden = using.conceal(asked)
        given = (using.authorization(code, names, hidden),)
        told = self._run(code, handles, given, hidden, back)
        handle = self._hold(told) if back else 0
        after = using.answered(code, told.parameters, told.authorizations[0])
        return after, handle, using.reveal(told.parameters, after.theirs)

    def _run(
        self,
        code: int,
        handles: Sequence[int],
        given: Sequence[Authorization],
        asked: bytes,
        back: int,
    ) -> Response:
        frame = marshal.command(code, handles, given, asked)
        return marshal.response(self._line.ask(frame), code, back, len(given))

    def _hold(self, told: Response) -> int:
        """The handle that came back, to be flushed when the conversation ends."""
        handle = int.from_bytes(told.handles)
        self._line.held.add(handle)
        return handle


def _unless(code: int, do: Callable[[], T]) -> T | None:
    """What `do` gives; None when the TPM refuses with `code`."""
    try:
        return do()
    except TpmError as refused:
        if refused.code != code:
            raise
        return None
