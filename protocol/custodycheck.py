"""Judging a chain of custody: every step, its signature, its place, and the word of the party it is about.

Nothing is trusted but the roots and the list keys handed in: neither the order nor the names in the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import canonical, signed
from protocol.custody import (
    FIRST,
    KIND,
    ORDER,
    BadCustody,
    Chain,
    Name,
    Sealing,
    Step,
    digest,
    read_signed,
    sha256,
)
from protocol.deletion import BadDeletion, verify_whenever
from protocol.identity import Role, role_of
from protocol.instant import read_instant
from protocol.sealed import manifest as manifests
from protocol.sealed.manifest import Manifest
from protocol.sealed.outer import KIT_KIND
from protocol.sealed.receipt import BadReceipt, verify_receipt
from protocol.sealed.recipients import BadRecipients, verify_list
from protocol.sealed.refusal import BadPacket


@dataclass(frozen=True)
class Trust:
    """Roots of kits and fleet, and the key of each service's recipient list, by service id."""

    roots: Sequence[x509.Certificate]
    list_keys: Mapping[str, ec.EllipticCurvePublicKey]


@dataclass(frozen=True)
class Line:
    """One step as it was judged. `by`: who signs for it; `problem`: a code, empty when all is right.

    Codes: custody-malformed custody-untrusted foreign out-of-order broken-link not-lawful evidence-missing
    evidence-refused evidence-of-another."""

    n: int
    step: Name | None
    at: str
    by: str
    problem: str


@dataclass(frozen=True)
class Judged:
    """`supplements`: the application that the packet brings parts of anew, by the kit's own word; else ""."""

    packet_id: str
    lines: tuple[Line, ...]
    supplements: str = ""

    @property
    def sound(self) -> bool:
        return bool(self.lines) and not any(line.problem for line in self.lines)

    @property
    def names(self) -> tuple[Name, ...]:
        return tuple(line.step for line in self.lines if line.step is not None)


class _Wrong(Exception):
    """`code` as in Line."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def judge(chain: Chain, trust: Trust) -> Judged:
    """Every step of the chain with what is wrong with it. Never raises for what stands in the file."""
    documents = {sha256(text): text for text in chain.documents}
    lines, before, seen, manifest = [], FIRST, list[Name](), None
    for n, token in enumerate(chain.steps, 1):
        step, by, problem = None, "", ""
        try:
            step = _read(token, trust)
            _place(step, chain.packet_id, n, before, seen)
            by, manifest = _witness(step, documents, trust, manifest)
        except _Wrong as wrong:
            problem = wrong.code
        lines.append(Line(n, step.step if step else None, step.at if step else "", by, problem))
        before = digest(step) if step else before
        if step is not None:
            seen.append(step.step)
    about = manifest.supplements if manifest is not None else msgspec.UNSET
    return Judged(chain.packet_id, tuple(lines), "" if about is msgspec.UNSET else about.packet_id)


def _read(token: str, trust: Trust) -> Step:
    """The step in `token`, signed by a custodian whose certificate was valid when it was signed."""
    try:
        leaf = signed.leaf_of(token, KIND)
        payload, _ = signed.verify_chain(token, KIND, trust.roots, Role.CUSTODIAN, leaf.not_valid_after_utc)
        held = read_signed(payload)
    except signed.BadSignature as problem:
        raise _Wrong("custody-untrusted") from problem
    except BadCustody as problem:
        raise _Wrong(problem.code) from problem
    at = read_instant(held.signed)
    if not leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc or at < read_instant(held.step.at):
        raise _Wrong("custody-untrusted")
    return held.step


def _place(step: Step, packet_id: str, n: int, before: str, seen: Sequence[Name]) -> None:
    if step.packet_id != packet_id:
        raise _Wrong("foreign")
    if step.n != n:
        raise _Wrong("out-of-order")
    if step.prev != before:
        raise _Wrong("broken-link")
    if step.step in ORDER:
        lawful = tuple(name for name in seen if name in ORDER) == ORDER[: ORDER.index(step.step)]
    else:
        lawful = "committed" in seen
    if not lawful or step.step in seen:
        raise _Wrong("not-lawful")


def _witness(
    step: Step, documents: Mapping[str, str], trust: Trust, manifest: Manifest | None
) -> tuple[str, Manifest | None]:
    """Who signs for the step, by what lies beside it; and the manifest, once the kit's is known."""
    if not step.evidence:
        return "fleet", manifest
    text = documents.get(step.evidence)
    if text is None:
        raise _Wrong("evidence-missing")
    try:
        if step.step == "sealed":
            manifest = _sealing(step, text, trust)
            return manifest.kit_id, manifest
        if manifest is None:
            raise _Wrong("evidence-of-another")  # nothing says yet whose packet it is
        if step.step == "answered":
            return _answer(step, text, documents, trust, manifest), manifest
        return _deletion(step, text, trust, manifest), manifest
    except (BadCustody, BadDeletion, BadPacket, BadReceipt, signed.BadSignature, ValueError) as problem:
        raise _Wrong("evidence-refused") from problem


def _sealing(step: Step, text: str, trust: Trust) -> Manifest:
    document = msgspec.convert(canonical.loads(text.encode()), Sealing)
    data = document.manifest.encode()
    manifest = manifests.decode(data)
    made = read_instant(manifest.created_utc)
    leaf = signed.verify_detached_chain(document.kit, KIT_KIND, data, trust.roots, Role.KIT_SIGN, made)
    about = (manifest.packet_id, manifests.digest(data), role_of(leaf)[1])
    if about != (step.packet_id, step.manifest_sha256, manifest.kit_id):
        raise _Wrong("evidence-of-another")
    return manifest


def _answer(step: Step, text: str, documents: Mapping[str, str], trust: Trust, manifest: Manifest) -> str:
    list_key = trust.list_keys.get(manifest.service_id)
    if list_key is None:
        raise _Wrong("evidence-refused")
    receipt = verify_receipt(text, _receipt_keys(documents, list_key, manifest.service_id))
    about = (receipt.packet_id, receipt.manifest_sha256, receipt.kit_id)
    if about != (step.packet_id, step.manifest_sha256, manifest.kit_id):
        raise _Wrong("evidence-of-another")
    asked = receipt.asked
    again = f": {', '.join(asked.parts)}" if asked is not None else ""
    return f"{manifest.service_id} {receipt.verdict}{again}"


def _receipt_keys(
    documents: Mapping[str, str], list_key: ec.EllipticCurvePublicKey, service_id: str
) -> dict[str, ec.EllipticCurvePublicKey]:
    """The receipt keys of every recipient list in the file that the list key signed, whenever it was."""
    keys: dict[str, ec.EllipticCurvePublicKey] = {}
    for text in documents.values():
        try:
            payload = signed.verify(text.strip(), "recipients", {signed.key_id(list_key): list_key})
            issued = _issued(payload)
            held = verify_list(text, list_key, issued)
        except (signed.BadSignature, BadRecipients, ValueError):
            continue  # another document
        if held.service_id == service_id:
            keys |= held.public_receipt_keys()
    return keys


def _issued(payload: bytes) -> datetime:
    value = canonical.loads(payload)
    return read_instant(str(value.get("issued")) if isinstance(value, dict) else "")


def _deletion(step: Step, text: str, trust: Trust, manifest: Manifest) -> str:
    deletion, _ = verify_whenever(text, trust.roots)
    packet = step.packet_id if step.step == "deleted" else ""
    about = (deletion.kit_id, deletion.visit_id, deletion.packet_id)
    if about != (manifest.kit_id, manifest.visit_id, packet):
        raise _Wrong("evidence-of-another")
    return manifest.kit_id
