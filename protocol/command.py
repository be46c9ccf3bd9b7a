"""A command of the fleet to one kit: named actions, signed, with an end and a counter, so that a broker or
whoever holds it can delay a command, and cannot make, change, repeat or redirect one. There is no shell among
them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, get_args

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta

from protocol import canonical, signed
from protocol.identity import KIT_ID
from protocol.instant import PATTERN as INSTANT
from protocol.instant import read_instant

KIND = "command"
LONGEST = 4096  # bytes of payload
Action = Literal["lock", "self-test", "collect-logs", "renew-certificate", "shred-by-rule"]
ACTIONS: tuple[Action, ...] = get_args(Action)
Refusal = Literal["signature", "malformed", "unknown-action", "other-kit", "expired", "replayed"]


class BadCommand(ValueError):
    """A command that must not be carried out."""

    def __init__(self, code: Refusal, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code: Refusal = code
        self.detail = detail


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`counter` grows with every command to a kit; `action` is one of ACTIONS (checked apart, to name it)."""

    v: Literal[1]
    kit_id: Annotated[str, Meta(pattern=rf"^({KIT_ID.pattern})\Z")]
    job: Annotated[str, Meta(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")]
    counter: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    issued: Annotated[str, Meta(pattern=INSTANT)]
    not_after: Annotated[str, Meta(pattern=INSTANT)]
    action: Annotated[str, Meta(pattern=r"^[a-z][a-z-]{0,39}\Z")]


def sign_command(command: Command, key: ec.EllipticCurvePrivateKey, kid: str) -> str:
    """Compact JWS by the fleet's command key. BadCommand for what a kit would refuse whoever signed it."""
    payload = canonical.dumps(msgspec.to_builtins(command))
    _read(payload)
    return signed.sign(KIND, payload, key, kid)


def verify_command(
    token: str, keys: Mapping[str, ec.EllipticCurvePublicKey], kit_id: str, last: int, now: datetime | None
) -> Command:
    """The command in `token`, for `kit_id` to carry out. `last`: the highest counter carried out or refused
    for good, which the caller keeps on disk before it acts. `now` is None where no clock can be right.

    BadCommand, in this order: signature, malformed, unknown-action, other-kit, replayed, expired. Without a
    clock every command is expired: what is due by rule happens anyway."""
    try:
        payload = signed.verify(token, KIND, keys)
    except signed.BadSignature as problem:
        raise BadCommand("signature", problem.code) from problem
    command = _read(payload)
    if command.kit_id != kit_id:
        raise BadCommand("other-kit")
    if command.counter <= last:
        raise BadCommand("replayed", f"counter {command.counter}, {last} was seen")
    if now is None or now >= read_instant(command.not_after):
        raise BadCommand("expired", command.not_after)
    return command


def _read(payload: bytes) -> Command:
    try:
        if len(payload) > LONGEST:
            raise ValueError("too long")
        command = msgspec.convert(canonical.loads(payload), Command)
        ends = read_instant(command.not_after) > read_instant(command.issued)
    except (ValueError, msgspec.ValidationError) as problem:
        raise BadCommand("malformed") from problem
    if not ends:
        raise BadCommand("malformed", "it ends before it begins")
    if command.action not in ACTIONS:
        raise BadCommand("unknown-action", command.action)
    return command
