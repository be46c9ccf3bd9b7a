"""Keys and certificates from disk: root certificates of a folder, the command key, the field key.

Secrets are refused when others than their owner may read them.
"""

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from protocol.chain import load_certificate
from protocol.custodycheck import Trust
from protocol.identity import Role, check_use, role_of
from server.db.field_key import FieldKey
from server.settings import Fleet, Keys


class BadTrust(Exception):
    """A key or certificate that cannot be used; the message says which file and why."""


def roots(folder: Path) -> Sequence[x509.Certificate]:
    """Every certificate in the folder's `.pem`, `.crt`, `.cer` and `.der` files; at least one. BadTrust."""
    if not folder.is_dir():
        raise BadTrust(f"{folder}: no such folder")
    found: list[x509.Certificate] = []
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".pem", ".crt", ".cer", ".der"):
            continue
        data = path.read_bytes()
        try:
            if b"-----BEGIN" in data:
                found.extend(x509.load_pem_x509_certificates(data))
            else:
                found.append(load_certificate(data))
        except ValueError as problem:
            raise BadTrust(f"{path}: not a certificate") from problem
    if not found:
        raise BadTrust(f"{folder}: no certificate in it")
    return found


def command_key(keys: Keys) -> ec.EllipticCurvePrivateKey:
    """The key that signs day bags. BadTrust."""
    return _private_key(keys.command_key)


def custody_key(keys: Keys) -> tuple[ec.EllipticCurvePrivateKey, Sequence[x509.Certificate]]:
    """The key that signs chains of custody, and its certificate with its issuer. BadTrust."""
    key, path = _private_key(keys.custody_key), keys.custody_certificate
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
        check_use(chain[0], Role.CUSTODIAN)
        role, _ = role_of(chain[0])
    except (OSError, ValueError) as problem:
        raise BadTrust(f"{path}: not a certificate of a custodian") from problem
    if role is not Role.CUSTODIAN or chain[0].public_key() != key.public_key():
        raise BadTrust(f"{path}: not the custodian's certificate for {keys.custody_key}")
    return key, chain


def of_chains(fleet: Fleet) -> Trust:
    """What our own chains of custody are judged with. BadTrust."""
    lists = {name: list_key(service.list_key) for name, service in fleet.services.items()}
    return Trust(roots(fleet.trust.roots), lists)


def list_key(path: Path) -> ec.EllipticCurvePublicKey:
    """The public key that a service signs its recipient list with. BadTrust."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise BadTrust(f"{path}: not a public key in PEM") from problem
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadTrust(f"{path}: not a key on P-256")
    return key


def _private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(_secret(path), None)
    except (ValueError, TypeError) as problem:
        raise BadTrust(f"{path}: not a private key in PEM") from problem
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadTrust(f"{path}: not a key on P-256")
    return key


def field_key(keys: Keys) -> FieldKey:
    """The key of personal data in the database. BadTrust."""
    try:
        return FieldKey(_secret(keys.field_key))
    except ValueError as problem:
        raise BadTrust(f"{keys.field_key}: {problem}") from problem


def _secret(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            raise BadTrust(f"{path}: others may read this secret; chmod 600")
        return path.read_bytes()
    except OSError as problem:
        raise BadTrust(f"{path}: cannot be read: {problem.strerror}") from problem
