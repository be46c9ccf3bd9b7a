"""Which roots are believed: certificates in a folder; and which of them are Belgium's, by fingerprint.

The root on the card proves nothing. A root whose fingerprint is not in the list below is a test root: what is
verified against it is marked TEST on every screen and in every packet.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from device.drivers.eid.certificates import MALFORMED, BadCertificate, certificate_key
from device.errors import Code, KitError, Remedy
from protocol.chain import may_issue

# SHA-256 of the certificates of Belgium Root CA, as published with the eID middleware (Fedict/eid-mw)
BELGIUM_ROOTS = frozenset(
    bytes.fromhex(fingerprint)
    for fingerprint in (
        "9F9744463BE13714754E1A3BECF98C08CC205E4AB32028F4E2830C4A1B2775B8",  # CA2, RSA-2048, until 15-12-2021
        "A8D14E945E3E5156BCAE5E39737CF6A1B1F51028BBBF982F50CE5F4C05568B4D",  # CA3, RSA-4096, until 28-01-2028
        "C3FBF37259AF0954EEEA4282DD1C7226A54E7150F7C29A2C495BA34DBFE09CA0",  # CA4, RSA-4096, until 28-01-2028
        "702DD5C1A093CF0A9D71FADD9BF9A7C5857D89FB73B716E867228B3C2BEB968F",  # CA4 again, until 22-10-2032
        "9C872BC979A7C09A58D4A274C199E5CB16CFA9B9618D98BC9A9988E984B8495C",  # CA6, P-384, until 03-06-2040
    )
)
SUFFIXES = (".der", ".crt", ".cer", ".pem")
FILE_AT_MOST = 64 * 1024
ROOTS_AT_MOST = 64


@dataclass(frozen=True)
class Anchor:
    certificate: x509.Certificate
    pinned: bool  # one of Belgium's roots


@dataclass(frozen=True)
class TrustStore:
    anchors: tuple[Anchor, ...]

    @property
    def test(self) -> bool:
        """True when a root that is not Belgium's is among them."""
        return any(not anchor.pinned for anchor in self.anchors)


def anchor(certificate: x509.Certificate) -> Anchor:
    return Anchor(certificate, certificate.fingerprint(hashes.SHA256()) in BELGIUM_ROOTS)


def load_trust(folder: Path, *, test: bool = True) -> TrustStore:
    """All certificates (DER, or PEM with several) in `folder`. KitError bad-config when one cannot be one,
    and without `test` when one is not Belgium's."""
    anchors: list[Anchor] = []
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        for path in paths:
            anchors += (anchor(certificate) for certificate in _certificates(path))
    except OSError as error:
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"trust folder: {error}") from error
    if not 1 <= len(anchors) <= ROOTS_AT_MOST:
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"{len(anchors)} root certificates in {folder}")
    store = TrustStore(tuple(anchors))
    if store.test and not test:
        detail = f"{folder} holds a root that is not Belgium's: only a demo has trust.test_cards"
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, detail)
    return store


def _certificates(path: Path) -> list[x509.Certificate]:
    with path.open("rb") as file:
        data = file.read(FILE_AT_MOST)
    try:
        if b"-----BEGIN" in data:
            found = x509.load_pem_x509_certificates(data)
        else:
            found = [x509.load_der_x509_certificate(data)]
        for certificate in found:
            certificate_key(certificate)
            if not may_issue(certificate):
                raise BadCertificate("not a certificate authority")
    except MALFORMED as error:
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"{path} is no root certificate: {error}") from error
    return found
