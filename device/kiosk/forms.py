"""What the kiosk's forms may hold: exact fields, exact values. Anything else is refused as incomplete."""

from typing import Annotated, Literal, TypeVar

import msgspec
from flask import request

from device.agent.events import FingerReason, Lasting, PossessionReason
from device.ports import LADDER, Finger, Hand

Yes = Literal["yes", ""]


class Incomplete(Exception):
    """The form misses a field, or holds something it cannot hold. `page` is the endpoint that asks again."""

    def __init__(self, what: str, page: str) -> None:
        super().__init__(what)
        self.page = page


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Empty(Form, frozen=True):
    pass


class Unlock(Form, frozen=True):
    officer: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.-]{2,40}$")]
    pin: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,12}$")]


class ChangePin(Form, frozen=True):
    old: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,12}$")]
    pin: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,12}$")]
    again: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,12}$")]


class Recover(Form, frozen=True):
    """`code`: the administrator's 44 digits; spaces and dashes as they were written down."""

    officer: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.-]{2,40}$")]
    code: Annotated[str, msgspec.Meta(pattern=r"^[0-9 -]{1,80}$")]
    pin: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,12}$")]
    again: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,12}$")]


class Enrol(Form, frozen=True):
    """`code`: the twenty digits that the newcomer was given."""

    officer: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.-]{2,40}$")]
    code: Annotated[str, msgspec.Meta(pattern=r"^[0-9 -]{1,40}$")]
    pin: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,12}$")]
    again: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,12}$")]

    def __repr__(self) -> str:
        return "Enrol(...)"


class ShowCard(Form, frozen=True):
    officer: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.-]{2,40}$")]


class ChooseLanguage(Form, frozen=True):
    language: Literal["nl", "fr", "de", "en"]
    who: Literal["officer", "citizen"] = "officer"


class Waive(Form, frozen=True):
    reason: Literal["loss", "theft", "unreadable"]
    document: Literal["annex12", "police-attest"]


class Informed(Form, frozen=True):
    aloud: Yes = ""


class Carry(Form, frozen=True):
    stick: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]


class EnterPin(Form, frozen=True):
    """The holder's PIN, and the entry that the page was made for."""

    pin: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4,12}$")]
    entry: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
    last_try: Yes = ""

    def __repr__(self) -> str:
        return "EnterPin(...)"


class ExceptPossession(Form, frozen=True):
    reason: PossessionReason


class Procedure(Form, frozen=True):
    procedure: Literal["normal", "urgent", "urgent-central"]


class TakeFinger(Form, frozen=True):
    hand: Hand
    finger: Finger


class ExceptFingers(Form, frozen=True):
    """`fingers`: the one wanted now, or all that are left of the hand. `confirm` after the consequence."""

    hand: Hand
    fingers: Literal["one", "all"]
    reason: FingerReason
    lasting: Lasting
    attest_seen: Yes = ""
    confirm: Yes = ""

    def named(self, wanted: Finger, excepted: tuple[Finger, ...]) -> tuple[Finger, ...]:
        """The fingers meant, in the ladder's order."""
        if self.fingers == "one":
            return (wanted,)
        return tuple(finger for finger in LADDER if finger not in excepted)


class SealBy(Form, frozen=True):
    """With the key under the PIN, or with the officer's security key."""

    by: Literal["", "key"] = ""


_FromKey = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,2000}$")]


class KeyAnswer(Form, frozen=True):
    """What the browser got from the security key, each in base64url."""

    authenticator_data: _FromKey
    client_data: _FromKey
    signature: _FromKey


_FromNewKey = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,3500}$")]


class RegisterKey(Form, frozen=True):
    client_data: _FromNewKey
    attestation_object: _FromNewKey


class Redo(Form, frozen=True):
    hand: Hand | None = None


class ExceptSignature(Form, frozen=True):
    reason: Literal["cannot", "refuses"]


class Abandon(Form, frozen=True):
    reason: Literal["not-home", "unwell", "refused", "cannot", "mistake"]


F = TypeVar("F", bound=Form)


def read(form: type[F], page: str = "screens.index") -> F:
    """This request's form as `form`; each field at most once. Incomplete when it is not one."""
    fields = {}
    for name, values in request.form.lists():
        if len(values) != 1:
            raise Incomplete(name, page)
        fields[name] = values[0]
    fields.pop("csrf", None)
    try:
        return msgspec.convert(fields, form)
    except msgspec.ValidationError as error:
        raise Incomplete(form.__name__, page) from error
