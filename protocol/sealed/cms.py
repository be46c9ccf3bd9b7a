"""The suite `cms-p256-gcm`: CMS AuthEnvelopedData (RFC 5083, 5084) for recipients with a P-256 key.

For a service whose own key store and tools speak CMS; not safe against quantum computers. Key agreement is
ephemeral-static ECDH with the X9.63 KDF over SHA-256 and AES-256 key wrap (RFC 5753), one recipient info a
recipient. The reader takes an envelope only when writing it anew gives the same bytes.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from protocol.bad import Bad
from protocol.sealed import der
from protocol.sealed.der import BadDer, Reader, context

NONCE = 12
TAG = 16
_POINT = 65  # bytes of an uncompressed point on P-256
_WRAPPED = 40  # bytes of a wrapped 256-bit key
_KEY_ID = 32

# Object identifiers, encoded.
_AUTH_ENVELOPED = bytes.fromhex("060b2a864886f70d0109100117")  # 1.2.840.113549.1.9.16.1.23
_DATA = bytes.fromhex("06092a864886f70d010701")  # 1.2.840.113549.1.7.1
_CONTENT_TYPE = bytes.fromhex("06092a864886f70d010903")  # 1.2.840.113549.1.9.3
_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")  # 1.2.840.10045.2.1
_ECDH_SHA256 = bytes.fromhex("06062b8104010b01")  # 1.3.132.1.11.1
_AES256_WRAP = bytes.fromhex("060960864801650304012d")  # 2.16.840.1.101.3.4.1.45
_AES256_GCM = bytes.fromhex("060960864801650304012e")  # 2.16.840.1.101.3.4.1.46
# 2.25.83048021451846362672505816084530357726: our own, made of a random UUID (ITU-T X.667)
_LABEL = bytes.fromhex("061369fcfabbe5c29afa87978396a8e9ec96f1cb5e")


class BadCms(Bad):
    """code: cms-structure, wrong-recipient, header-mac, payload-corrupt."""


@dataclass(frozen=True)
class WrappedKey:
    """A recipient's share: who, the ephemeral point for it, and the wrapped content key."""

    key_id: bytes  # SHA-256 of the SubjectPublicKeyInfo, as subject key identifier
    point: bytes
    wrapped: bytes = field(repr=False)

    @property
    def kid(self) -> str:
        """As recipient list and manifest spell it."""
        return base64.urlsafe_b64encode(self.key_id).rstrip(b"=").decode()


@dataclass(frozen=True)
class Envelope:
    """An AuthEnvelopedData, taken apart. `core_sha256` and `group` are its authenticated label."""

    recipients: tuple[WrappedKey, ...]
    nonce: bytes
    ciphertext: memoryview = field(repr=False)
    core_sha256: bytes
    group: str
    tag: bytes


def encrypt(
    plaintext: bytes, recipients: Sequence[ec.EllipticCurvePublicKey], core_sha256: bytes, group: str
) -> bytes:
    """The DER of `plaintext` sealed to every one of `recipients`, labelled. ValueError for none at all."""
    if not recipients:
        raise ValueError("a file that nobody can open")
    key, nonce = AESGCM.generate_key(256), secrets.token_bytes(NONCE)
    attributes = _attributes(core_sha256, group)
    sealed = memoryview(AESGCM(key).encrypt(nonce, plaintext, der.write_set(der.SET, attributes)))
    shares = tuple(_wrap(key, recipient) for recipient in recipients)
    return _write(Envelope(shares, nonce, sealed[:-TAG], core_sha256, group, bytes(sealed[-TAG:])))


def read(data: bytes) -> Envelope:
    """What `data` says of itself. BadCms cms-structure unless it is an envelope as `encrypt` writes it."""
    try:
        envelope = _read(memoryview(data))
    except ValueError as problem:  # BadDer; text that is not UTF-8; another number of attributes
        raise BadCms("cms-structure", type(problem).__name__) from problem
    if _write(envelope) != data:
        raise BadCms("cms-structure", "not as this suite writes it")
    return envelope


def decrypt(data: bytes, keys: Sequence[ec.EllipticCurvePrivateKey]) -> bytes:
    """The plaintext. BadCms."""
    envelope = read(data)
    key = _unwrap(envelope, keys)
    associated = der.write_set(der.SET, _attributes(envelope.core_sha256, envelope.group))
    try:
        return AESGCM(key).decrypt(envelope.nonce, b"".join([envelope.ciphertext, envelope.tag]), associated)
    except InvalidTag as problem:
        raise BadCms("payload-corrupt") from problem


def key_id(key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo."""
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def _wrap(key: bytes, recipient: ec.EllipticCurvePublicKey) -> WrappedKey:
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    shared = _derive(ephemeral.exchange(ec.ECDH(), recipient))
    point = ephemeral.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return WrappedKey(key_id(recipient), point, aes_key_wrap(shared, key))


def _unwrap(envelope: Envelope, keys: Sequence[ec.EllipticCurvePrivateKey]) -> bytes:
    for key in keys:
        mine = key_id(key.public_key())
        for share in envelope.recipients:
            if not hmac.compare_digest(mine, share.key_id):
                continue
            try:
                # from_encoded_point refuses what is not on the curve
                point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), share.point)
                return aes_key_unwrap(_derive(key.exchange(ec.ECDH(), point)), share.wrapped)
            except (InvalidUnwrap, ValueError) as problem:
                raise BadCms("header-mac", "the wrapped key is not the one that was written") from problem
    raise BadCms("wrong-recipient", "not addressed to the keys given")


def _derive(shared: bytes) -> bytes:
    # ECC-CMS-SharedInfo (RFC 5753 section 7.2): the wrap algorithm, and 256 bits as suppPubInfo
    info = der.write(
        der.SEQUENCE,
        der.write(der.SEQUENCE, _AES256_WRAP),
        der.write(context(2), der.write(der.OCTET_STRING, (256).to_bytes(4))),
    )
    return X963KDF(algorithm=hashes.SHA256(), length=32, sharedinfo=info).derive(shared)


def _attributes(core_sha256: bytes, group: str) -> list[bytes]:
    said = der.write(
        der.SEQUENCE, der.write(der.OCTET_STRING, core_sha256), der.write(der.UTF8_STRING, group.encode())
    )
    return [
        der.write(der.SEQUENCE, _CONTENT_TYPE, der.write(der.SET, _DATA)),
        der.write(der.SEQUENCE, _LABEL, der.write(der.SET, said)),
    ]


def _write(envelope: Envelope) -> bytes:
    parameters = der.write(
        der.SEQUENCE,
        der.write(der.OCTET_STRING, envelope.nonce),
        der.write(der.INTEGER, bytes([TAG])),
    )
    content = der.write(
        der.SEQUENCE,
        _DATA,
        der.write(der.SEQUENCE, _AES256_GCM, parameters),
        der.write(context(0, constructed=False), envelope.ciphertext),
    )
    body = der.write(
        der.SEQUENCE,
        der.write(der.INTEGER, b"\0"),
        der.write_set(der.SET, map(_recipient, envelope.recipients)),
        content,
        der.write_set(context(1), _attributes(envelope.core_sha256, envelope.group)),
        der.write(der.OCTET_STRING, envelope.tag),
    )
    return der.write(der.SEQUENCE, _AUTH_ENVELOPED, der.write(context(0), body))


def _recipient(share: WrappedKey) -> bytes:
    """KeyAgreeRecipientInfo (RFC 5652 section 6.2.2)."""
    public = der.write(
        context(1),
        der.write(der.SEQUENCE, _EC_PUBLIC_KEY),
        der.write(der.BIT_STRING, b"\0", share.point),
    )
    identifier = der.write(context(0), der.write(der.OCTET_STRING, share.key_id))
    return der.write(
        context(1),
        der.write(der.INTEGER, b"\x03"),
        der.write(context(0), public),
        der.write(der.SEQUENCE, _ECDH_SHA256, der.write(der.SEQUENCE, _AES256_WRAP)),
        der.write(
            der.SEQUENCE,
            der.write(der.SEQUENCE, identifier, der.write(der.OCTET_STRING, share.wrapped)),
        ),
    )


def _read(data: memoryview) -> Envelope:
    """The values that differ from envelope to envelope; `read` compares all the rest by writing it anew."""
    outer = Reader(data).inside(der.SEQUENCE)
    outer.take(_AUTH_ENVELOPED[0])
    body = outer.inside(context(0)).inside(der.SEQUENCE)
    body.take(der.INTEGER)
    shares = tuple(_read_recipient(share) for share in body.inside(der.SET).every(context(1)))
    content = body.inside(der.SEQUENCE)
    content.take(_DATA[0])
    algorithm = content.inside(der.SEQUENCE)
    algorithm.take(_AES256_GCM[0])
    nonce = bytes(algorithm.inside(der.SEQUENCE).take(der.OCTET_STRING))
    ciphertext = content.take(context(0, constructed=False))
    _, said = body.inside(context(1)).every(der.SEQUENCE)
    said.take(_LABEL[0])
    label = said.inside(der.SET).inside(der.SEQUENCE)
    core_sha256 = bytes(label.take(der.OCTET_STRING))
    group = bytes(label.take(der.UTF8_STRING)).decode()
    tag = bytes(body.take(der.OCTET_STRING))
    sizes = (len(nonce), len(tag), len(core_sha256))
    if sizes != (NONCE, TAG, 32) or any(_odd(share) for share in shares):
        raise BadDer("a value of another length")
    return Envelope(shares, nonce, ciphertext, core_sha256, group, tag)


def _read_recipient(info: Reader) -> WrappedKey:
    info.take(der.INTEGER)
    public = info.inside(context(0)).inside(context(1))
    public.take(der.SEQUENCE)
    point = bytes(public.take(der.BIT_STRING)[1:])
    info.take(der.SEQUENCE)
    key = info.inside(der.SEQUENCE).inside(der.SEQUENCE)
    identifier = bytes(key.inside(context(0)).take(der.OCTET_STRING))
    return WrappedKey(identifier, point, bytes(key.take(der.OCTET_STRING)))


def _odd(share: WrappedKey) -> bool:
    return (len(share.key_id), len(share.point), len(share.wrapped)) != (_KEY_ID, _POINT, _WRAPPED)
