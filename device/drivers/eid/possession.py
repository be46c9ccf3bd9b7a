"""Whether the card in the reader holds the key of its authentication certificate. Pure.

The kind of key decides how it is asked, never the applet alone, since re-keyed cards have other keys than
their applet is known for; the same algorithm byte means SHA-1 on an old card and SHA-384 on a new one.

    RSA, applet 1.7        08   SHA-256 digest, the card pads (PKCS#1 v1.5)
    RSA, before            01   the caller gives the DigestInfo
    EC on P-384            02   SHA-384 digest; r || s on 1.8, perhaps DER elsewhere
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils

from device.drivers.eid.apdu import Command
from device.drivers.eid.certificates import PublicKey, verify
from device.drivers.eid.der import BadDer, cut

SchemeName = Literal["rsa-pkcs1v15-sha256", "ecdsa-p384-sha384"]  # as protocol/possession.py names them

AUTHENTICATION_KEY = 0x82
RSA_SHA256, RSA_DIGEST_INFO, EC_SHA384 = 0x08, 0x01, 0x02
RSA: SchemeName = "rsa-pkcs1v15-sha256"
ECDSA: SchemeName = "ecdsa-p384-sha384"
WITH_SHA256 = 0x17  # first applet that knows algorithm 08
DIGEST_INFO_SHA256 = bytes.fromhex("3031300D060960864801650304020105000420")  # RFC 8017, 9.2, note 1


class NoScheme(ValueError):
    """A kind of key that no Belgian eID has."""


@dataclass(frozen=True)
class Scheme:
    """How one card is to sign: algorithm byte, hash, and what goes before the digest."""

    algorithm: int
    digest: hashes.HashAlgorithm
    name: SchemeName
    prefix: bytes = b""

    def choose_key(self) -> Command:
        """MSE SET: this algorithm, the authentication key."""
        return Command(0x00, 0x22, 0x41, 0xB6, bytes((0x04, 0x80, self.algorithm, 0x84, AUTHENTICATION_KEY)))

    def sign(self, challenge: bytes) -> Command:
        """PSO COMPUTE DIGITAL SIGNATURE over the digest of `challenge`."""
        running = hashes.Hash(self.digest)
        running.update(challenge)
        return Command(0x00, 0x2A, 0x9E, 0x9A, self.prefix + running.finalize())

    def signature(self, key: PublicKey, challenge: bytes, answer: bytes) -> bytes | None:
        """The signature of `key` over `challenge` in the card's `answer`, ECDSA in DER; None when it is
        none."""
        readings = [answer] if isinstance(key, rsa.RSAPublicKey) else _as_der(key, answer)
        return next((each for each in readings if verify(key, each, challenge, self.digest)), None)


def scheme_for(key: PublicKey, applet: int) -> Scheme:
    """NoScheme for an EC key on another curve than P-384."""
    if isinstance(key, rsa.RSAPublicKey):
        if applet >= WITH_SHA256:
            return Scheme(RSA_SHA256, hashes.SHA256(), RSA)
        return Scheme(RSA_DIGEST_INFO, hashes.SHA256(), RSA, DIGEST_INFO_SHA256)
    if not isinstance(key.curve, ec.SECP384R1):
        raise NoScheme(key.curve.name)
    return Scheme(EC_SHA384, hashes.SHA384(), ECDSA)


def _as_der(key: ec.EllipticCurvePublicKey, answer: bytes) -> list[bytes]:
    """The readings an EC signature can have: r || s of the curve's length, or DER, perhaps padded."""
    readings = []
    half = (key.key_size + 7) // 8
    if len(answer) == 2 * half:
        r, s = (int.from_bytes(part, "big") for part in (answer[:half], answer[half:]))
        readings.append(utils.encode_dss_signature(r, s))
    with suppress(BadDer):
        readings.append(cut(answer))
    return readings
