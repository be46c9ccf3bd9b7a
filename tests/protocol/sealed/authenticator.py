"""A security key and its browser for tests, from the words of W3C WebAuthn Level 2 (6.1 and 5.8.1)."""

import base64
import hashlib
import json
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from protocol.sealed.webauthn import Assertion


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def authenticator_data(*, rp_id: str = "localhost", flags: int = 0x05, counter: int = 7) -> bytes:
    return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + counter.to_bytes(4)


def client_data(answered: bytes, /, **changes: object) -> bytes:
    members: dict[str, object] = {
        "type": "webauthn.get",
        "challenge": text(answered),
        "origin": "http://localhost:8740",
        "crossOrigin": False,
    }
    members |= changes
    return json.dumps({name: value for name, value in members.items() if value is not ...}).encode()


def answer(
    key: ec.EllipticCurvePrivateKey,
    chain: Sequence[x509.Certificate],
    said: bytes,
    data: bytes | None = None,
) -> Assertion:
    data = authenticator_data() if data is None else data
    signature = key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
    x5c = [base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in chain]
    return Assertion(text(data), text(said), text(signature), x5c)
