"""Compact JWS put together by hand, for tokens that `protocol.signed` would never write."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from protocol.signed import key_id
from tests.protocol.certificates import Holder


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(header: Any, payload: bytes, key: ec.EllipticCurvePrivateKey, *, detached: bool = False) -> str:
    """`header`: a dict, or the very bytes of the header."""
    head = b64(header if isinstance(header, bytes) else json.dumps(header).encode())
    r, s = decode_dss_signature(key.sign(f"{head}.{b64(payload)}".encode(), ec.ECDSA(hashes.SHA256())))
    return f"{head}.{'' if detached else b64(payload)}.{b64(r.to_bytes(32) + s.to_bytes(32))}"


def header_of(kind: str, holder: Holder, *issuers: Holder) -> dict[str, Any]:
    chain = [holder, *issuers]
    return {
        "alg": "ES256",
        "typ": f"thuisloket/{kind}",
        "kid": key_id(holder.key.public_key()),
        "x5c": [base64.b64encode(one.certificate.public_bytes(Encoding.DER)).decode() for one in chain],
    }
