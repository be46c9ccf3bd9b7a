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

from protocol import canonical, signed, word
from protocol.identity import KIT_ID
from protocol.instant import PATTERN as INSTANT
from protocol.word import BadCommand

KIND = "command"
Action = Literal["lock", "report-now", "self-test", "try-uploads-now", "reconnect", "renew-certificate"]
ACTIONS: tuple[Action, ...] = get_args(Action)


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
    command = _read(word.opened(token, KIND, keys))
    seen = f"counter {command.counter}, {last} was seen" if command.counter <= last else ""
    word.judge(command, kit_id, replayed=seen, now=now)
    return command


def _read(payload: bytes) -> Command:
    command = word.read(payload, Command)
    if command.action not in ACTIONS:
        raise BadCommand("unknown-action", command.action)
    return command
