"""An officer's signing key and certificates: read and checked before a vault takes them, and kept small."""

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.identity import OFFICER_ID, Role, check_use, role_of

_LONGEST_NAME = 100


def read(
    officer_id: str, name: str, key_pem: bytes, cert_pem: bytes
) -> tuple[ec.EllipticCurvePrivateKey, str]:
    """The key (PKCS#8 PEM, unencrypted) and the certificates (PEM, leaf first), as they are kept.

    ValueError when key, certificate, id and name are not of one officer."""
    if not OFFICER_ID.fullmatch(officer_id) or not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise ValueError("not an officer's id and name")
    key, chain = read_key(key_pem), x509.load_pem_x509_certificates(cert_pem)
    check_use(chain[0], Role.OFFICER)
    if role_of(chain[0]) != (Role.OFFICER, officer_id) or chain[0].public_key() != key.public_key():
        raise ValueError("the certificate is not this officer's, or not that of the key")
    return key, b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain).decode()


def read_key(data: bytes) -> ec.EllipticCurvePrivateKey:
    """PEM or DER. ValueError unless it is on P-256."""
    load = (
        serialization.load_pem_private_key
        if data.startswith(b"-----")
        else serialization.load_der_private_key
    )
    key = load(data, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("a signing key is on P-256")
    return key


def write_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """DER."""
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
