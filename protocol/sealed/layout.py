"""A packet laid out before it is sealed: all of it is known but the bytes of the captures, the moment, and
what is worked out from these.

Its first part, manifest and signatures, has been let through by its reader's own rules with placeholders for
what is not known. At the end these are filled in. What was not filled in must then still be as it was let
through, byte for byte, and what was is held against the same rules: so all of what is written has passed.
"""

import hashlib
import re
from collections.abc import Sequence
from itertools import groupby

from protocol.instant import PATTERN as INSTANT
from protocol.sealed import age, manifest
from protocol.sealed.archive import archive_of
from protocol.sealed.form import Form, value_of
from protocol.sealed.manifest import DAY, DIGESTS, Core, Group, Hash
from protocol.sealed.outer import KIT_KIND, MAGIC, OFFICER_KIND, Signatures, read_outer, write_outer
from protocol.sealed.part import Sealable, contents_of, kids_of
from protocol.sealed.recipients import Recipient
from protocol.sealed.refusal import BadPacket, Fault
from protocol.sealed.signer import Signer
from protocol.sealed.suites import AGE, Keys, LaidFile, spelled, take_key
from protocol.sealed.written import Sink, Written, begin, named
from protocol.signed import SIGNATURE, signature_under

_NO_DIGEST = {"sha256": "0" * 64, "sha512": "0" * 128}
_NO_SIGNATURE = "A" * SIGNATURE
_SIGNATURE = r"^[A-Za-z0-9_-]{86}\Z"
_MANIFEST = len(MAGIC) + 4  # bytes before it


class Layout:
    """Of one packet in the suite `age1pq`; it serves that one. To be written while the bytes of its parts are
    there."""

    def __init__(
        self,
        parts: Sequence[Sealable],
        core: Core,
        recipients: Sequence[Recipient],
        kit: Signer,
        officer: Signer,
        keys: Keys | None = None,
        by: Hash = "sha256",
    ) -> None:
        """`core` but for its `created_utc` and `retention_until`, which are told when it is written.

        ValueError when `core` does not describe exactly these parts and recipients, or `keys` are for others;
        BadPacket for a packet that its reader would refuse."""
        if core.suite != AGE:
            raise ValueError("a packet of another suite")
        if core.contents != contents_of(parts) or core.recipients != kids_of(recipients):
            raise ValueError("the core describes other parts or recipients")
        text, self._by = manifest.encode(core), by
        self._core = Form(text, [value_of(name, text) for name in ("created_utc", "retention_until")])
        self._moment = len(core.created_utc), len(core.legal.retention_until)
        self._signers = kit, officer
        self._files: list[LaidFile] = []
        stage = memoryview(bytearray(bytes(age.CHUNK)))
        for group in manifest.groups_of(core):
            key = take_key(keys, group, recipients)
            self._files.append(LaidFile(self._archive(group, parts), group, key, stage))
        self._front = self._first(core)
        self.size = len(self._front.text) + sum([4 + file.size for file in self._files])
        self._named = named(core)

    def is_signed_by(self, kit: Signer, officer: Signer) -> bool:
        """Whether these two are who signs it."""
        return self._signers[0] is kit and self._signers[1] is officer

    def takes(self, created_utc: str) -> bool:
        """Whether this moment is spelled in as many characters."""
        return len(created_utc) == self._moment[0]

    def write(self, sink: Sink, created_utc: str, retention_until: str) -> Written:
        """The packet, made in the sink. It may count once what is returned is `complete`; BadPacket comes
        then. ValueError for a moment that it does not take."""
        if (len(created_utc), len(retention_until)) != self._moment:
            raise ValueError("a moment spelled longer or shorter")
        core, front, places = self._core, self._front.text, iter(self._front.places)
        for place, value in zip(core.places, (created_utc, retention_until), strict=True):
            core.text[place] = front[next(places)] = value.encode()
        core_sha256 = spelled(hashlib.sha256(core.text).digest())
        at, space = len(front), sink.space(self.size)
        for file in self._files:
            end = at + 4 + file.size
            sealed = space[at + 4 : end]
            space[at : at + 4] = file.size.to_bytes(4)
            file.fill(sealed, core_sha256)
            sink.ready(at, end)
            front[next(places)] = hexdigest(sealed, self._by).encode()
            at = end
        data = bytes(front[self._manifest])
        for signer, header in zip(self._signers, self._headers, strict=True):
            front[next(places)] = signature_under(header, data, signer.key).encode()
        first = bytes(front)
        return begin(sink, first, self._named, data, self.size, lambda: self._check(first))

    def _archive(self, group: Group, parts: Sequence[Sealable]) -> list[bytes | memoryview]:
        """The plaintext of a group; what is known of it already and lies side by side is one piece."""
        members = [(part.name, part.data) for part in parts if manifest.group_of(part.name) == group]
        pieces = archive_of([(manifest.CORE_NAME, memoryview(self._core.text)), *members])
        joined: list[bytes | memoryview] = []
        for known, some in groupby(pieces, lambda piece: isinstance(piece, bytes)):
            side_by_side = list(some)
            joined += [b"".join(side_by_side)] if known else side_by_side
        return joined

    def _first(self, core: Core) -> Form:
        """Everything before the payload."""
        payload = [
            manifest.describe(group, file.size, self._by, _NO_DIGEST[self._by])
            for group, file in zip(manifest.groups_of(core), self._files, strict=True)
        ]
        data = manifest.encode(manifest.with_payload(core, payload))
        self._manifest = slice(_MANIFEST, _MANIFEST + len(data))
        kit, officer = self._signers
        self._headers = kit.header(KIT_KIND), officer.header(OFFICER_KIND)
        text = write_outer(data, Signatures(*[f"{header}..{_NO_SIGNATURE}" for header in self._headers]))
        read_outer(text)
        places = [value_of(name, text) for name in ("created_utc", "retention_until")]
        at = text.index(b'"payload":[')
        for _ in payload:
            places.append(value_of(self._by, text, at))
            at = places[-1].stop
        for name in ("kit", "officer"):
            end = value_of(name, text, self._manifest.stop).stop
            places.append(slice(end - SIGNATURE, end))
        rules = [INSTANT, DAY, *[DIGESTS[self._by] for _ in payload], _SIGNATURE, _SIGNATURE]
        self._rules = [re.compile(rule.encode()) for rule in rules]
        return Form(text, places)

    def _check(self, first: bytes) -> None:
        """By the reader's rules. BadPacket."""
        front = self._front
        values = [first[place] for place in front.places]
        lawful = all(rule.search(value) for rule, value in zip(self._rules, values, strict=True))
        if not (lawful and manifest.is_instant(values[0].decode()) and front.is_around(first)):
            raise BadPacket(Fault.MANIFEST_MALFORMED, "not as it was laid out, or not filled in by the rules")


def hexdigest(file: bytearray | memoryview, by: Hash) -> str:
    """At one go: meanwhile Python's lock is free for whoever writes it."""
    hashed = hashlib.sha256(file) if by == "sha256" else hashlib.sha512(file)
    return hashed.hexdigest()
