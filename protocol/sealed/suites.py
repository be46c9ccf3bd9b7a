"""The two ways a group can be sealed, by the name the recipient list and the manifest give them.

Both tie the sealed file to its manifest and its group, in a place that whoever routes the packet can read and
nobody can change: a stanza under the header's MAC (age), an authenticated attribute (CMS).
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec

from protocol.sealed import age, cms
from protocol.sealed.manifest import RecipientId
from protocol.sealed.recipients import Recipient
from protocol.sealed.refusal import BadPacket, Fault

AGE = "age1pq"
CMS = "cms-p256-gcm"
STANZA = "thuisloket.be/manifest"
STANZA_VERSION = "v1"

Key = str | ec.EllipticCurvePrivateKey
"""What opens a packet: an age identity, or the P-256 key of a CMS recipient."""


@dataclass(frozen=True)
class Label:
    """What a sealed file is tied to: a suite, the manifest's core, one of its groups, and for whom it is."""

    suite: str
    core: bytes = field(repr=False)
    group: str
    recipients: tuple[RecipientId, ...]

    @property
    def core_sha256(self) -> bytes:
        return _sha256(self.core)


@lru_cache(maxsize=1)  # every group of a packet has the same core
def _sha256(core: bytes) -> bytes:
    return hashlib.sha256(core).digest()


class Keys:
    """Keys of groups, wrapped for these recipients before there is anything to seal; each is taken once.

    Only age has them: there the wrapped keys depend on nothing that follows. BadKey, ValueError as
    `age.wrap`."""

    def __init__(self, suite: str, recipients: Sequence[Recipient], groups: Iterable[str]) -> None:
        self._for = (suite, tuple(recipients))
        self._ahead = {group: _wrap(recipients) for group in groups} if suite == AGE else {}

    def fit(self, suite: str, recipients: Sequence[Recipient]) -> bool:
        """Whether they are wrapped for exactly these."""
        return self._for == (suite, tuple(recipients))

    def take(self, group: str, recipients: Sequence[Recipient]) -> age.Wrapped:
        """The key of this group, or a new one when it has been taken. ValueError for other recipients."""
        if not self.fit(AGE, recipients):
            raise ValueError("keys wrapped for others")
        return self._ahead.pop(group, None) or _wrap(recipients)


class LaidFile:
    """The age file of one group, laid out before the manifest's core is known to the last letter."""

    def __init__(
        self,
        plaintext: Sequence[bytes | memoryview],
        group: str,
        wrapped: age.Wrapped,
        stage: memoryview | None = None,
    ) -> None:
        """As `age.Laid`."""
        no_body = age.Stanza(STANZA, (STANZA_VERSION, group), b"")
        self._first = age.write_stanzas([no_body])[:-1]
        self._laid = age.Laid(plaintext, wrapped, len(self._first) + len(spelled(bytes(32))), stage)
        self.size = self._laid.size

    def fill(self, space: memoryview, core_sha256: bytes) -> None:
        """Into a space of its size; the digest as `spelled`."""
        self._laid.fill(space, self._first + core_sha256)


def spelled(core_sha256: bytes) -> bytes:
    """The body of the stanza that ties a file to its manifest; it fits on one line."""
    return f"{age.encode64(core_sha256)}\n".encode()


Fill = Callable[[memoryview], None]
"""Writes a file into a space of exactly its size."""


def seal_file(
    plaintext: Sequence[bytes | memoryview],
    label: Label,
    recipients: Sequence[Recipient],
    keys: Keys | None = None,
) -> tuple[int, Fill]:
    """`plaintext` (in parts of any size), readable only by `recipients`, whose keys are those of the label's
    suite: the size of the sealed file, and what writes it. ValueError."""
    if label.suite == AGE:
        laid = LaidFile(plaintext, label.group, take_key(keys, label.group, recipients))
        return laid.size, lambda space: laid.fill(space, spelled(label.core_sha256))
    whole = cms.encrypt(
        b"".join(plaintext),
        [recipient.public_key() for recipient in recipients],
        label.core_sha256,
        label.group,
    )

    def fill(space: memoryview) -> None:
        space[:] = whole

    return len(whole), fill


def take_key(keys: Keys | None, group: str, recipients: Sequence[Recipient]) -> age.Wrapped:
    """The key of a group, of those wrapped ahead where there are any. ValueError, BadKey as `Keys`."""
    return keys.take(group, recipients) if keys else _wrap(recipients)


def _wrap(recipients: Sequence[Recipient]) -> age.Wrapped:
    return age.wrap([recipient.age1pq for recipient in recipients])


def check_file(data: bytes, label: Label) -> None:
    """All that can be checked of a sealed file without a key. BadPacket."""
    try:
        if label.suite == AGE:
            _check_stanzas(age.read_header(data).stanzas, label)
        else:
            _check_envelope(cms.read(data), label)
    except (age.BadAge, cms.BadCms) as problem:
        raise BadPacket(Fault(problem.code), f"{label.group}: {problem.detail}") from problem


def open_file(data: bytes, label: Label, keys: Sequence[Key]) -> bytes:
    """The plaintext of a file that `check_file` has let through, opened with any of `keys`. BadPacket."""
    try:
        if label.suite == AGE:
            return age.decrypt(data, [key for key in keys if isinstance(key, str)])
        return cms.decrypt(data, [key for key in keys if not isinstance(key, str)])
    except (age.BadAge, cms.BadCms) as problem:
        raise BadPacket(Fault(problem.code), f"{label.group}: {problem.detail}") from problem


def _stanza(label: Label) -> age.Stanza:
    return age.Stanza(STANZA, (STANZA_VERSION, label.group), label.core_sha256)


def _check_stanzas(stanzas: Sequence[age.Stanza], label: Label) -> None:
    """The age file carries this manifest's hash and is addressed to as many as the manifest names."""
    if [stanza for stanza in stanzas if stanza.kind == STANZA] != [_stanza(label)]:
        raise BadPacket(Fault.LABEL_MISMATCH, label.group)
    if [stanza.kind for stanza in stanzas if stanza.kind != STANZA] != [age.KIND] * len(label.recipients):
        raise BadPacket(Fault.RECIPIENTS_MISMATCH, "addressed to others than the manifest names")


def _check_envelope(envelope: cms.Envelope, label: Label) -> None:
    if (envelope.core_sha256, envelope.group) != (label.core_sha256, label.group):
        raise BadPacket(Fault.LABEL_MISMATCH, label.group)
    named = {recipient.kid for recipient in label.recipients}
    if {one.kid for one in envelope.recipients} != named or len(envelope.recipients) != len(named):
        raise BadPacket(Fault.RECIPIENTS_MISMATCH, "addressed to others than the manifest names")
