"""What the fleet wishes one kit to be set to: a signed document, versioned, with a result for each of its
keys.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta

from protocol import canonical, signed, word
from protocol.identity import KIT_ID
from protocol.instant import PATTERN as INSTANT
from protocol.word import BadCommand

KIND = "desired"
BOUNDS: dict[str, tuple[int, int]] = {
    "health-every-s": (10, 3600),
    "idle-lock-s": (30, 900),
    "upload-piece-bytes": (4096, 131_072),
}
"""Smallest and largest value of the settings that are numbers."""
WORDS: dict[str, frozenset[str]] = {
    "language": frozenset({"nl", "fr", "de", "en"}),
    "log-level": frozenset({"info", "warning", "error"}),
}
"""What the settings that are words may be."""


class DesiredState(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`version` grows by one with each change for this kit; `settings` holds all wishes, not the changed
    ones.
    """

    v: Literal[1]
    kit_id: Annotated[str, Meta(pattern=rf"^({KIT_ID.pattern})\Z")]
    version: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    issued: Annotated[str, Meta(pattern=INSTANT)]
    not_after: Annotated[str, Meta(pattern=INSTANT)]
    settings: Annotated[
        dict[Annotated[str, Meta(pattern=r"^[a-z][a-z-]{0,39}\Z")], int | str], Meta(max_length=16)
    ]


def sign_desired(wish: DesiredState, key: ec.EllipticCurvePrivateKey, kid: str) -> str:
    """Compact JWS by the fleet's command key. BadCommand malformed where it breaks a bound."""
    payload = canonical.dumps(msgspec.to_builtins(wish))
    if any(problem_of(name, value) for name, value in word.read(payload, DesiredState).settings.items()):
        raise BadCommand("malformed", "a setting that no kit would take")
    return signed.sign(KIND, payload, key, kid)


def verify_desired(
    token: str, keys: Mapping[str, ec.EllipticCurvePublicKey], kit_id: str, held: int, now: datetime | None
) -> DesiredState:
    """The wish in `token` for `kit_id`, which holds version `held`. A setting that this kit does not know is
    let through: it is refused by name, so that the fleet sees it. BadCommand signature, malformed, other-kit,
    replayed (older than what is held; the same version again is fine), expired."""
    wish = word.read(word.opened(token, KIND, keys), DesiredState)
    older = f"version {wish.version}, {held} is held" if wish.version < held else ""
    word.judge(wish, kit_id, replayed=older, now=now)
    return wish


def problem_of(name: str, value: int | str) -> Literal["", "unknown", "out-of-range"]:
    """Why a setting cannot be applied; "" when it can."""
    if name in BOUNDS:
        least, most = BOUNDS[name]
        return "" if type(value) is int and least <= value <= most else "out-of-range"
    if name in WORDS:
        return "" if value in WORDS[name] else "out-of-range"
    return "unknown"
