"""The register's signatures over identity and address (content v5.4, 6.2.5; addendum for re-keyed 1.7 cards).

identity    4032 signs file 4031 as stored
address     4034 signs file 4033 without its trailing zeros, then file 4032 exactly as stored, zeros and all

EC signatures are DER in a file padded with zeros to a fixed size, always over SHA-384. RSA signatures are
PKCS#1 v1.5 as long as the key; the hash is not written anywhere: SHA-256, or SHA-1 on the first generations.
"""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from device.drivers.eid.certificates import PublicKey, Strength, key_strength, verify
from device.drivers.eid.der import BadDer, cut


def signed_by(key: PublicKey, signature_file: bytes, data: bytes) -> Strength | None:
    """How strongly `key` signed `data`; None when it did not."""
    if isinstance(key, rsa.RSAPublicKey):
        length = (key.key_size + 7) // 8
        signature, padding = signature_file[:length], signature_file[length:]
        if any(padding):
            return None
        if verify(key, signature, data, hashes.SHA256()):
            return key_strength(key)
        return "weak" if verify(key, signature, data, hashes.SHA1()) else None  # noqa: S303  old cards have only this
    try:
        signature = cut(signature_file)
    except BadDer:
        return None
    return "strong" if verify(key, signature, data, hashes.SHA384()) else None


def address_data(address: bytes, identity_signature: bytes) -> bytes:
    """What the address signature is over."""
    return address.rstrip(b"\0") + identity_signature
