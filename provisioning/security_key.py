"""A certificate for an officer's security key: only for a key whose maker says that it lives in one."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography import x509

from protocol.chain import load_certificate
from protocol.sealed.registration import BadRegistration, Registration, credential_text, verify
from provisioning.ca import Authority
from provisioning.generations import AuthorityError

LONGEST = 64 * 1024


def certify(authority: Authority, request: Path, makers: Path, out: Path) -> tuple[str, str]:
    """(credential in base64url, officer id); the certificates are in `out`.pem. AuthorityError."""
    try:
        with request.open("rb") as file:
            told = msgspec.json.decode(file.read(LONGEST), type=Registration)
    except (OSError, msgspec.DecodeError) as problem:
        raise AuthorityError(f"{request}: {problem}") from problem
    try:
        registered = verify(told, _makers(makers), datetime.now(UTC))
    except BadRegistration as problem:
        raise AuthorityError(f"not certified: {problem}") from problem
    certified = authority.certify("officer-key", told.officer_id, registered.key)
    certified.write(out.parent, out.name)
    return credential_text(registered.credential), told.officer_id


def _makers(folder: Path) -> list[x509.Certificate]:
    found = [path for path in sorted(folder.glob("*")) if path.suffix in (".pem", ".crt", ".cer", ".der")]
    if not found:
        raise AuthorityError(f"{folder}: no certificates of makers")
    try:
        return [certificate for path in found for certificate in _read(path.read_bytes())]
    except ValueError as problem:
        raise AuthorityError(f"{folder}: {problem}") from problem


def _read(data: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(data) if b"-----BEGIN" in data else [load_certificate(data)]
