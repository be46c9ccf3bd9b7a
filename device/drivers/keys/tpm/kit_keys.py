"""The kit's two own keys in a TPM: the signing key, made there and never out; the TLS key, sealed there.

Python's ssl cannot use a key that stays in a TPM without a provider and a daemon (decision 0087). So the
uplink's key is a key in a file that only this TPM opens, laid out in memory before the uplink starts, by a
program that may speak to the TPM. The uplink itself may not.
"""

import hashlib
from pathlib import Path
from typing import NoReturn

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from device.drivers.keys.tpm.source import LARGEST, TpmKeySource
from device.drivers.keys.tpm.talk import Blob
from device.errors import Code, KitError, Remedy

_SCALAR = 32  # bytes of a P-256 private key


class TpmSigningKey(ec.EllipticCurvePrivateKey):
    """The kit's signing key, as `cryptography` spells a P-256 key. It can sign; nobody can read it."""

    def __init__(self, source: TpmKeySource) -> None:
        """KitError bad-config when the kit has no key in a TPM yet. The TPM is spoken to only to sign."""
        self._source = source
        self._public = source.sign_public()

    def sign(
        self, data: bytes | bytearray | memoryview, signature_algorithm: ec.EllipticCurveSignatureAlgorithm
    ) -> bytes:
        """ECDSA with SHA-256, DER. KitError key-source-gone, vault-damaged."""
        algorithm = signature_algorithm.algorithm
        if not isinstance(signature_algorithm, ec.ECDSA) or not isinstance(algorithm, hashes.SHA256):
            raise ValueError("this key signs with ECDSA and SHA-256")
        return encode_dss_signature(*self._source.sign(hashlib.sha256(data).digest()))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        return ec.SECP256R1()

    @property
    def key_size(self) -> int:
        return 256

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        raise ValueError("this key signs, and nothing else")

    def private_numbers(self) -> NoReturn:
        raise ValueError("this key does not leave its TPM")

    def private_bytes(
        self,
        encoding: serialization.Encoding,
        format: serialization.PrivateFormat,  # noqa: A002  the name that cryptography gives it
        encryption_algorithm: serialization.KeySerializationEncryption,
    ) -> NoReturn:
        raise ValueError("this key does not leave its TPM")

    def __copy__(self) -> "TpmSigningKey":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "TpmSigningKey":
        return self


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    private: bytes
    public: bytes


def make_tls_key(source: TpmKeySource) -> tuple[bytes, ec.EllipticCurvePublicKey]:
    """(what to keep on disk, its public key): a fresh key that only this TPM opens."""
    key = ec.generate_private_key(ec.SECP256R1())
    blob = source.seal(key.private_numbers().private_value.to_bytes(_SCALAR, "big"))
    return msgspec.msgpack.encode(_Sealed(blob.private, blob.public)), key.public_key()


def open_tls_key(source: TpmKeySource, path: Path) -> bytes:
    """The key in `path` in the clear, PKCS#8 PEM. KitError bad-config, vault-damaged, key-source-gone."""
    try:
        with path.open("rb") as file:
            sealed = msgspec.msgpack.decode(file.read(LARGEST), type=_Sealed)
    except (OSError, msgspec.DecodeError) as problem:
        detail = f"{path}: no sealed TLS key; `keys make` writes it"
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, detail) from problem
    scalar = source.open_sealed(Blob(sealed.private, sealed.public))
    return ec.derive_private_key(int.from_bytes(scalar), ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
