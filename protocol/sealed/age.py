"""age v1 files (c2sp.org/age) for post-quantum recipients: writer and reader, whole files in memory.

Only the recipient type `mlkem768x25519` is written and opened. Other stanzas ride along, are covered by the
header's MAC, and are ignored by every reader that conforms.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocol.sealed import agekeys
from protocol.sealed.ageheader import (
    END,
    VERSION,
    BadAge,
    Header,
    Stanza,
    decode64,
    encode64,
    read_header,
    write_stanzas,
)
from protocol.sealed.agekeys import BadKey, generate, recipient_of

__all__ = [
    "BadAge",
    "BadKey",
    "Laid",
    "Stanza",
    "Wrapped",
    "decrypt",
    "encode64",
    "encrypt",
    "generate",
    "read_header",
    "recipient_of",
    "wrap",
    "write_stanzas",
]

KIND = "mlkem768x25519"
CHUNK = 64 * 1024
TAG = 16
NONCE = 16
_INFO = b"age-encryption.org/mlkem768x25519"
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_ENC = 1120  # bytes of encapsulated key
_WRAPPED = 32  # a file key of 16 bytes and its tag
_MAC_LINE = len(f" {encode64(bytes(32))}\n")
_ZEROS = bytes(CHUNK)


@dataclass(frozen=True)
class Wrapped:
    """A file key and all that follows from it: its stanzas as the file begins with them, the MAC as far as
    those, the payload's nonce and what encrypts its chunks. It depends on no content and may be made ahead of
    it; it serves one file."""

    file_key: bytes = field(repr=False)
    text: bytes = field(repr=False)
    mac: HMAC = field(repr=False)
    nonce: bytes = field(repr=False)
    cipher: ChaCha20Poly1305 = field(repr=False)


def wrap(recipients: Sequence[str]) -> Wrapped:
    """A new file key for `recipients`. BadKey for something that is not an `age1pq1...` recipient; ValueError
    for none at all."""
    if not recipients:
        raise ValueError("a file that nobody can open")
    file_key, nonce = secrets.token_bytes(16), secrets.token_bytes(NONCE)
    text = VERSION + write_stanzas(_wrap(file_key, recipient) for recipient in recipients)
    cipher = ChaCha20Poly1305(_derive(file_key, nonce, b"payload"))
    return Wrapped(file_key, text, _mac(file_key, text), nonce, cipher)


def encrypt(plaintext: bytes, recipients: Sequence[str], extra_stanzas: Sequence[Stanza] = ()) -> bytes:
    """An age file of `plaintext` that any one of `recipients` opens. BadKey, ValueError as `wrap`."""
    stanzas = write_stanzas(extra_stanzas)
    laid = Laid([plaintext], wrap(recipients), len(stanzas))
    file = bytearray(laid.size)
    laid.fill(memoryview(file), stanzas)
    return bytes(file)


class Laid:
    """An age file laid out before what is in it is there: which parts of the plaintext lie in which chunk,
    and where. It serves one file."""

    def __init__(
        self,
        plaintext: Sequence[bytes | memoryview],
        wrapped: Wrapped,
        stanzas: int = 0,
        stage: memoryview | None = None,
    ) -> None:
        """`plaintext` in parts of any size, whose bytes count when it is filled. `stanzas`: bytes of further
        stanzas; `stage`: memory for a chunk, which many files may share."""
        self._wrapped = wrapped
        self._begins = at = len(wrapped.text) + stanzas + len(END) + _MAC_LINE + NONCE
        stage = memoryview(bytearray(CHUNK)) if stage is None else stage
        self._chunks: list[tuple[bytes, memoryview, list[tuple[memoryview, memoryview]], slice]] = []
        for counter, (pieces, last) in enumerate(_chunks(plaintext)):
            size, alone = sum(map(len, pieces)), len(pieces) == 1
            place = slice(at, at + size + TAG)
            chunk = pieces[0] if alone else stage[:size]
            copies = [] if alone else _side_by_side(stage, pieces)
            self._chunks.append((_chunk_nonce(counter, last), chunk, copies, place))
            at = place.stop
        self.size = at

    def fill(self, space: memoryview, stanzas: bytes = b"") -> None:
        """Write the file into a space of its size. ValueError for stanzas of another size."""
        wrapped, covered = self._wrapped, stanzas + END
        wrapped.mac.update(covered)
        mac = encode64(wrapped.mac.finalize())
        space[: self._begins] = b"%b%b %b\n%b" % (wrapped.text, covered, mac.encode(), wrapped.nonce)
        encrypt_into = wrapped.cipher.encrypt_into
        for nonce, chunk, copies, place in self._chunks:
            for to, piece in copies:
                to[:] = piece
            encrypt_into(nonce, chunk, None, space[place])
            if copies:
                chunk[:] = _ZEROS[: len(chunk)]


def _side_by_side(stage: memoryview, pieces: Iterable[memoryview]) -> list[tuple[memoryview, memoryview]]:
    """Each piece and where it lies on the stage, one after the other."""
    copies, at = [], 0
    for piece in pieces:
        copies.append((stage[at : at + len(piece)], piece))
        at += len(piece)
    return copies


def decrypt(data: bytes, identities: Sequence[str]) -> bytes:
    """The plaintext of a whole age file. BadAge with a code, BadKey for an identity that is none."""
    keys = [agekeys.read_identity(identity) for identity in identities]
    header = read_header(data)
    return _open_payload(_unwrap(header, keys), memoryview(data)[header.size :])


def _wrap(file_key: bytes, recipient: str) -> Stanza:
    sealed = _SUITE.encrypt(file_key, agekeys.read_recipient(recipient), info=_INFO)
    return Stanza(KIND, (encode64(sealed[:_ENC]),), sealed[_ENC:])


def _unwrap(header: Header, keys: Sequence[MLKEM768X25519PrivateKey]) -> bytes:
    """The file key, once the MAC over the header has been checked with it."""
    wrapped = [_wrapped(stanza) for stanza in header.stanzas if stanza.kind == KIND]
    for key in keys:
        for sealed in wrapped:
            try:
                file_key = _SUITE.decrypt(sealed, key, info=_INFO)
            except (InvalidTag, ValueError):
                continue
            try:
                _mac(file_key, header.covered).verify(header.mac)
            except InvalidSignature as problem:
                raise BadAge("header-mac", "the header is not the one that was written") from problem
            return file_key
    raise BadAge("wrong-recipient", "no stanza opens with the keys given")


def _wrapped(stanza: Stanza) -> bytes:
    """HPKE's single-shot form, enc || ciphertext; both lengths are checked before anything is tried."""
    if len(stanza.arguments) != 1 or len(stanza.body) != _WRAPPED:
        raise BadAge("age-header", "an mlkem768x25519 stanza of another shape")
    try:
        enc = decode64(stanza.arguments[0])
    except ValueError as problem:
        raise BadAge("age-header", "an encapsulated key that is not canonical base64") from problem
    if len(enc) != _ENC:
        raise BadAge("age-header", "an encapsulated key of another length")
    return enc + stanza.body


def _open_payload(file_key: bytes, payload: memoryview) -> bytes:
    if len(payload) < NONCE + TAG:
        raise BadAge("truncated", "the file ends before its first chunk")
    cipher = ChaCha20Poly1305(_derive(file_key, bytes(payload[:NONCE]), b"payload"))
    body = payload[NONCE:]
    parts = []
    for counter, start in enumerate(range(0, len(body), CHUNK + TAG)):
        sealed = body[start : start + CHUNK + TAG]
        last = start + CHUNK + TAG >= len(body)
        try:
            chunk = cipher.decrypt(_chunk_nonce(counter, last), sealed, None)
        except InvalidTag as problem:
            raise BadAge("payload-corrupt", f"chunk {counter}") from problem
        if last and counter and not chunk:
            raise BadAge("payload-corrupt", "an empty last chunk")
        parts.append(chunk)
    return b"".join(parts)


def _chunks(parts: Iterable[bytes | memoryview]) -> Iterator[tuple[list[memoryview], bool]]:
    """Chunks of 64 KiB, in pieces, and whether each is the last; the last is empty only when the whole is."""
    pieces: list[memoryview] = []
    lacking = CHUNK
    for part in parts:
        rest = memoryview(part)
        while len(rest) > lacking:  # and not when it fits: it may be the last
            yield [*pieces, rest[:lacking]], False
            rest, pieces, lacking = rest[lacking:], [], CHUNK
        if rest:
            pieces.append(rest)
            lacking -= len(rest)
    yield pieces or [memoryview(b"")], True


def _chunk_nonce(counter: int, last: bool) -> bytes:
    return counter.to_bytes(11) + (b"\x01" if last else b"\x00")


def _mac(file_key: bytes, text: bytes) -> HMAC:
    """Of a header, as far as this."""
    mac = HMAC(_derive(file_key, b"", b"header"), hashes.SHA256())
    mac.update(text)
    return mac


def _derive(file_key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(file_key)
