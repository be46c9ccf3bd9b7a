"""Who signs a manifest with a key of their own: the kit, and an officer without a security key."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import signed


@dataclass(frozen=True)
class Signer:
    """A P-256 key and its certificates, leaf first, without the root."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    chain: Sequence[x509.Certificate]

    def sign(self, kind: str, data: bytes) -> str:
        """A detached JWS. ValueError when the chain is not that of the key."""
        return signed.sign_under(self.header(kind), data, self.key)

    def header(self, kind: str) -> str:
        """The first part of every such JWS. ValueError as `sign`."""
        if kind not in self._headers:
            kid = signed.key_id(self.key.public_key())
            self._headers[kind] = signed.header_of(kind, self.key, kid, self.chain)
        return self._headers[kind]

    @cached_property
    def _headers(self) -> dict[str, str]:
        return {}
