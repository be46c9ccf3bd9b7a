"""Sealing with the officer's security key: the packet is made, the key answers its hash, and then it counts.

What waits for the key is sealed already, and lies in memory; nothing is on disk or counted until the answer
is there and was checked. Without an answer the officer goes on with the key under the PIN.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from device.agent.sealing import Sealer
from device.agent.session import Session
from device.agent.snapshot import KeyView
from device.agent.visit import Visit
from device.errors import Code, KitError, Refused, Remedy
from device.ports import Clock
from device.vault.security_keys import SecurityKey, SecurityKeys
from device.vault.store import OpenVault
from protocol.bag import BagVisit
from protocol.catalogue import Entry
from protocol.identity import role_of
from protocol.sealed.packet import Prepared, Sink, Written
from protocol.sealed.registration import Registration
from protocol.sealed.webauthn import Assertion, verify_assertion
from protocol.signed import BadSignature


@dataclass(frozen=True)
class Answer:
    """What the browser got from the key, each in base64url."""

    authenticator_data: str = field(repr=False)
    client_data: str = field(repr=False)
    signature: str = field(repr=False)


@dataclass(frozen=True)
class _Waiting:
    packet_id: str
    officer_id: str
    key: SecurityKey
    prepared: Prepared = field(repr=False)


class KeySealing:
    """All calls on the desk's thread."""

    def __init__(
        self, keys: SecurityKeys, sealer: Sealer, roots: Sequence[x509.Certificate], clock: Clock
    ) -> None:
        """`roots`: what the certificates of security keys lead to; without them none is used."""
        self._keys, self._sealer, self._roots, self._clock = keys, sealer, roots, clock
        self._waiting: _Waiting | None = None

    def has_key(self, officer_id: str) -> bool:
        return bool(self._roots) and self._keys.of(officer_id) is not None

    def register(self, session: Session | None, client_data: str, attestation_object: str) -> None:
        """Keep what the officer's new key said, for the authority to judge and certify. Refused locked."""
        if session is None:
            raise Refused(Code.LOCKED)
        officer_id = session.officer.officer_id
        text = msgspec.json.encode(Registration(officer_id, client_data, attestation_object)).decode()
        with session.vault.database.transaction() as tx:
            self._keys.request(tx, officer_id, text)

    @property
    def view(self) -> KeyView | None:
        """What the browser asks the key."""
        if self._waiting is None:
            return None
        return KeyView(_text(self._waiting.prepared.challenge), _text(self._waiting.key.credential))

    @property
    def packet_id(self) -> str:
        """Of the packet that waits. Refused not-now when none does."""
        if self._waiting is None:
            raise Refused(Code.NOT_NOW, "no key is asked")
        return self._waiting.packet_id

    def ask(
        self, visit: Visit, request: BagVisit, entry: Entry, vault: OpenVault, example_picture: bool
    ) -> None:
        """Make the packet. Refused not-now for an officer without a security key; KitError as `Sealer`."""
        self.forget()
        key = self._keys.of(vault.officer_id) if self._roots else None
        if key is None:
            raise Refused(Code.NOT_NOW, "no security key")
        packet_id = vault.next_id()
        prepared = self._sealer.prepare(packet_id, visit, request, entry, vault, example_picture, key.chain)
        self._waiting = _Waiting(packet_id, vault.officer_id, key, prepared)

    def write(self, sink: Sink, answer: Answer) -> Written:
        """The packet with the key's answer. KitError key-refused when it is no answer to this packet."""
        waiting = self._waiting
        if waiting is None:
            raise Refused(Code.NOT_NOW, "no key is asked")
        x5c = [_certificate(each) for each in waiting.key.chain]
        assertion = Assertion(answer.authenticator_data, answer.client_data, answer.signature, x5c)
        try:
            leaf = verify_assertion(assertion, waiting.prepared.challenge, self._roots, self._clock.now())
        except BadSignature as problem:
            raise KitError(Code.KEY_REFUSED, Remedy.RETRY, problem.code) from problem
        if role_of(leaf)[1] != waiting.officer_id:
            raise KitError(Code.KEY_REFUSED, Remedy.RETRY, "another officer's")
        return self._sealer.finish(sink, waiting.prepared, assertion)

    def forget(self) -> None:
        self._waiting = None


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _certificate(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
