"""age v1 files (c2sp.org/age) for post-quantum recipients: writer and reader, whole files in memory.

Only the recipient type `mlkem768x25519` is written and opened. Other stanzas ride along, are covered by the
header's MAC, and are ignored by every reader that conforms.
"""

import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
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
    "Fill",
    "Stanza",
    "Wrapped",
    "decrypt",
    "encrypt",
    "encrypt_into",
    "generate",
    "read_header",
    "recipient_of",
    "wrap",
]

KIND = "mlkem768x25519"
CHUNK = 64 * 1024
TAG = 16
NONCE = 16
_INFO = b"age-encryption.org/mlkem768x25519"
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_ENC = 1120  # bytes of encapsulated key
_WRAPPED = 32  # a file key of 16 bytes and its tag


@dataclass(frozen=True)
class Wrapped:
    """A file key and all that follows from it: its stanzas as the file begins with them, what the MAC is
    made with, the payload's nonce and what encrypts its chunks. It depends on no content and may be made
    ahead of it; it serves one file."""

    file_key: bytes = field(repr=False)
    text: bytes = field(repr=False)
    mac_key: bytes = field(repr=False)
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
    return Wrapped(file_key, text, _mac_key(file_key), nonce, cipher)


def encrypt(plaintext: bytes, recipients: Sequence[str], extra_stanzas: Sequence[Stanza] = ()) -> bytes:
    """An age file of `plaintext` that any one of `recipients` opens. BadKey, ValueError as `wrap`."""
    size, fill = encrypt_into([plaintext], wrap(recipients), extra_stanzas)
    file = bytearray(size)
    for _ in fill(memoryview(file)):
        pass
    return bytes(file)


Fill = Callable[[memoryview], Iterator[memoryview]]
"""Writes a file into a space of exactly its size, and tells of each piece, in order, once it is there."""


def encrypt_into(
    plaintext: Sequence[bytes | memoryview], wrapped: Wrapped, extra_stanzas: Sequence[Stanza] = ()
) -> tuple[int, Fill]:
    """The size of the age file of `plaintext` (in parts of any size), and what writes it."""
    covered = b"".join([wrapped.text, write_stanzas(extra_stanzas), END])
    mac = encode64(hmac.digest(wrapped.mac_key, covered, "sha256")).encode()
    header = b"".join([covered, b" ", mac, b"\n", wrapped.nonce])
    length = sum(map(len, plaintext))
    size = len(header) + length + max(1, -(-length // CHUNK)) * TAG

    def fill(space: memoryview) -> Iterator[memoryview]:
        at = len(header)
        space[:at] = header
        yield space[:at]
        for counter, (chunk, last) in enumerate(_chunks(plaintext)):
            piece = space[at : at + len(chunk) + TAG]
            wrapped.cipher.encrypt_into(_chunk_nonce(counter, last), chunk, None, piece)
            at += len(piece)
            yield piece

    return size, fill


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
            mac = hmac.digest(_mac_key(file_key), header.covered, "sha256")
            if not hmac.compare_digest(mac, header.mac):
                raise BadAge("header-mac", "the header is not the one that was written")
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


def _chunks(parts: Iterable[bytes | memoryview]) -> Iterator[tuple[bytes | memoryview, bool]]:
    """Chunks of 64 KiB and whether each is the last; the last is empty only when the whole is. Copied is only
    what lies across the border of two parts."""
    waiting: list[memoryview] = []
    lacking = CHUNK
    for part in parts:
        rest = memoryview(part)
        while len(rest) > lacking:  # and not when it fits: it may be the last
            waiting.append(rest[:lacking])
            yield waiting[0] if len(waiting) == 1 else b"".join(waiting), False
            rest, waiting, lacking = rest[lacking:], [], CHUNK
        waiting.append(rest)
        lacking -= len(rest)
    yield b"".join(waiting), True


def _chunk_nonce(counter: int, last: bool) -> bytes:
    return counter.to_bytes(11) + (b"\x01" if last else b"\x00")


def _mac_key(file_key: bytes) -> bytes:
    return _derive(file_key, b"", b"header")


def _derive(file_key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(file_key)
