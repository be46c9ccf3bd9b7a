"""What the competent service holds: trusted root certificates in a folder, keys in files."""

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from competent.failure import Failed
from protocol.chain import load_certificate
from protocol.sealed.agekeys import BadKey, read_identity
from protocol.sealed.packet import Key

_LONGEST_FILE = 256 * 1024  # bytes
_MOST_FILES = 64
_SUFFIXES = (".pem", ".crt", ".cer", ".der")
_PEM = b"-----BEGIN CERTIFICATE-----"
_PRIVATE = b"-----BEGIN "


def read_roots(folder: Path) -> list[x509.Certificate]:
    """Root certificates in the PEM and DER files of `folder`. Failed when it holds none, or one is no CA."""
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    except OSError as problem:
        raise Failed(
            "trust-unreadable", f"give a folder of root certificates: {problem.strerror}"
        ) from problem
    if not files or len(files) > _MOST_FILES:
        raise Failed("no-trust", f"put between 1 and {_MOST_FILES} .pem or .der files into the trust folder")
    roots = [root for path in files for root in _read_certificates(path)]
    if not all(_is_authority(root) for root in roots):
        raise Failed("no-trust", "every certificate in the trust folder is that of a CA")
    return roots


def read_keys(path: Path) -> list[Key]:
    """What opens packets: age identities, or the P-256 private key (PEM, not encrypted) of a service that
    takes CMS. Failed."""
    if _PRIVATE in _read(path):
        return [read_private_key(path)]
    return list(read_identities(path))


def read_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A P-256 private key in PEM. Failed bad-key-file, cannot-read."""
    try:
        key = load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
        raise Failed("bad-key-file", f"{path.name} is not a private key in PEM, unencrypted") from problem
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Failed("bad-key-file", f"{path.name} is not a key on P-256")
    return key


def read_identities(path: Path) -> list[str]:
    """`AGE-SECRET-KEY-PQ-1...`, one a line; `#` starts a remark, as age-keygen writes them. Failed."""
    try:
        lines = _read(path).decode("ascii").splitlines()
    except UnicodeDecodeError as problem:
        raise Failed("bad-key-file", "an age identity file is plain text") from problem
    identities = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not identities:
        raise Failed("bad-key-file", "the file holds no identity")
    try:
        for identity in identities:
            read_identity(identity)
    except BadKey as problem:
        raise Failed(
            "bad-key-file", "AGE-SECRET-KEY-PQ-1... on each line, or one P-256 key in PEM"
        ) from problem
    return identities


def _read_certificates(path: Path) -> list[x509.Certificate]:
    data = _read(path)
    try:
        if _PEM not in data:
            return [load_certificate(data)]
        return x509.load_pem_x509_certificates(data)
    except ValueError as problem:
        raise Failed("no-trust", f"{path.name} is not a certificate") from problem


def _is_authority(certificate: x509.Certificate) -> bool:
    return any(
        isinstance(extension.value, x509.BasicConstraints) and extension.value.ca
        for extension in certificate.extensions
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST_FILE + 1)
    except OSError as problem:
        raise Failed("cannot-read", f"{path.name}: {problem.strerror}") from problem
    if len(data) > _LONGEST_FILE:
        raise Failed("cannot-read", f"{path.name} is longer than {_LONGEST_FILE} bytes")
    return data
