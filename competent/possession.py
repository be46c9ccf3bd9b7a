"""The holder's proof in an opened application, checked again against the service's own Belgium Root CAs."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from cryptography import x509

from protocol.instant import read_instant
from protocol.possession import PART, BadProof, check, purpose
from protocol.sealed.packet import Opened

Answer = Literal["proven", "proven-expired", "absent"]


class NotProven(Exception):
    """The evidence proves nothing: `code` of docs/protocol.md 3, or another-holder."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def judge(opened: Opened, roots: Sequence[x509.Certificate]) -> Answer:
    """Whether the person of `identity.json` gave the PIN. NotProven when the evidence says something else."""
    parts = {part.name: part.data for part in opened.parts}
    if PART not in parts:
        return "absent"
    manifest = opened.outer.manifest
    expected = purpose(manifest.visit_id, manifest.service_id, manifest.tenant)
    try:
        holder = check(parts[PART], expected, roots, read_instant(manifest.created_utc))
    except BadProof as problem:
        raise NotProven(problem.code) from problem
    if _number(parts.get("identity.json", b"{}")) != holder.national_number:
        raise NotProven("another-holder")
    return "proven" if holder.certificate_valid else "proven-expired"


def _number(identity: bytes) -> str:
    try:
        told: Any = json.loads(identity)
        return str(told["identity"]["national_number"])
    except (ValueError, KeyError, TypeError):
        return ""
