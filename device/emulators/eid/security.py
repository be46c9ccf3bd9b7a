"""PIN and keys of the emulated card (applet manuals 5 and 6.4 to 6.12)."""

import hmac

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from device.emulators.eid.held import APPLET_17, APPLET_18, HeldCard

OK = b"\x90\x00"
WRONG_LENGTH = b"\x67\x00"
BLOCKED = b"\x69\x83"
NOT_SATISFIED = b"\x69\x82"
CONDITIONS = b"\x69\x85"
WRONG_DATA = b"\x6a\x80"
NO_SUCH_KEY = b"\x6a\x88"
PIN_BLOCK = 8  # bytes: 2 and the number of digits, the digits, filled up with F
TRIES = 3
AUTHENTICATION = 0x82
HALF = 48  # bytes of r and s on P-384
DIGEST_INFO, RSA_SHA256, EC_SHA384 = 0x01, 0x08, 0x02  # algorithm references
SHA256_INFO = bytes.fromhex("3031300D060960864801650304020105000420")


class Security:
    def __init__(self, card: HeldCard) -> None:
        self._card = card
        self.tries = card.tries
        self._right = False
        self._algorithm: int | None = None

    def reset(self) -> None:
        """Rights and environment go; tries stay, they are in the card's memory."""
        self._right = False
        self._algorithm = None

    def verify(self, block: bytes) -> bytes:
        """PIN block, or nothing to ask for the state, which before applet 1.7 is a wrong PIN."""
        if not self.tries:
            return BLOCKED
        if not block and self._card.applet >= APPLET_17:
            return OK if self._right else bytes((0x63, 0xC0 | self.tries))
        if block and len(block) != PIN_BLOCK:
            return WRONG_LENGTH
        if hmac.compare_digest(block, _pin_block(self._card.pin)):
            self.tries = TRIES
            self._right = True
            return OK
        self.tries -= 1
        self._right = False
        return bytes((0x63, 0xC0 | self.tries))

    def choose(self, data: bytes) -> bytes:
        """MSE SET: 04 80 algorithm 84 key; only an algorithm that this chip and its key know."""
        if len(data) != 5 or data[:2] != b"\x04\x80" or data[3] != 0x84:
            return WRONG_DATA
        if data[4] != AUTHENTICATION or self._card.auth_key is None:
            return NO_SUCH_KEY
        if data[2] not in self._known():
            return WRONG_DATA
        self._algorithm = data[2]
        return OK

    def sign(self, data: bytes) -> bytes:
        """The authentication key over a digest: r || s on 1.8, DER on a re-keyed 1.7, PKCS#1 with RSA."""
        key = self._card.auth_key
        if self._algorithm is None or key is None:
            return CONDITIONS
        if not self._right:
            return NOT_SATISFIED
        if isinstance(key, rsa.RSAPrivateKey):
            if self._algorithm == DIGEST_INFO:
                if not data.startswith(SHA256_INFO):
                    return WRONG_DATA
                data = data[len(SHA256_INFO) :]
            if len(data) != 32:
                return WRONG_DATA
            return key.sign(data, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
        if len(data) != HALF:
            return WRONG_DATA
        signature = key.sign(data, ec.ECDSA(utils.Prehashed(hashes.SHA384())))
        return _raw(signature) if self._card.applet >= APPLET_18 else signature

    def _known(self) -> tuple[int, ...]:
        if isinstance(self._card.auth_key, rsa.RSAPrivateKey):
            return (DIGEST_INFO, RSA_SHA256) if self._card.applet >= APPLET_17 else (DIGEST_INFO,)
        return (EC_SHA384,)

    def prove(self, data: bytes) -> bytes:
        """INTERNAL AUTHENTICATE: 94 30 digest, signed by the basic key as r || s. Clears the environment."""
        self._algorithm = None
        if len(data) != 2 + HALF or data[:2] != b"\x94\x30":
            return WRONG_DATA
        if self._card.basic_key is None:
            return NO_SUCH_KEY
        return _raw(self._card.basic_key.sign(data[2:], ec.ECDSA(utils.Prehashed(hashes.SHA384()))))


def _pin_block(pin: str) -> bytes:
    return bytes.fromhex(f"2{len(pin):X}{pin}".ljust(2 * PIN_BLOCK, "F"))


def _raw(signature: bytes) -> bytes:
    r, s = utils.decode_dss_signature(signature)
    return r.to_bytes(HALF, "big") + s.to_bytes(HALF, "big")
