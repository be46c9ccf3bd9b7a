"""Codes of drivers, cards and services in words, also those a later driver brings."""

from collections.abc import Callable, Sequence

from flask import Flask, g

from device.errors import Code
from device.ports import Identity
from look import Words

# What the bar says of the network, by the code of what is wrong; what passes by itself is not among them.
_CAUGHT = frozenset({"portal", "server-untrusted"})
_REFUSED = frozenset(
    {"certificate-refused", "refused", "not-authorized", "not-admitted", "banned", "http-403", "unknown-kit"}
)


class Saying:
    """Texts by code, with plain words where a code has none of its own. In the language of the page."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def mount(self, app: Flask) -> None:
        """Give the templates `doing`, `hints`, `remarks`, `failed`, `masked`."""
        pieces: tuple[Callable[..., object], ...] = (
            self.doing,
            self.hints,
            self.remarks,
            self.failed,
            self.held,
            self.network,
            masked,
        )
        app.jinja_env.globals.update({piece.__name__: piece for piece in pieces})

    def doing(self, code: str, language: str = "") -> str:
        """What should be done now, while a capture runs."""
        return self._one(f"doing.{code}", "busy.wait", language)

    def hints(self, codes: Sequence[str]) -> list[str]:
        """How to do better, each once."""
        return list(dict.fromkeys(self._one(f"hint.{code}", "hint.other") for code in codes))

    def remarks(self, codes: Sequence[str]) -> list[str]:
        """Reasons and flags of a card; one without words is shown as it is, for the one who is called."""
        known = {code: f"reason.{code}" for code in codes if f"reason.{code}" in self._words}
        return [self._words(known[code], g.language) if code in known else code for code in codes]

    def failed(self, code: str, part: str) -> str:
        """What happened (`part` "what") or what to do ("do"). `code`: of `Code`, or of a form."""
        key = f"failure.{code}" if code in set(Code) else f"form.{code}"
        return self._one(f"{key}.{part}", f"failure.other.{part}")

    def held(self, code: str) -> str:
        """Why nothing is sent, or why the fleet refused; with the code where there are no words for it."""
        return self._one("held.status" if code.startswith("status-") else f"held.{code}", "held.other")

    def network(self, online: bool, problem: str) -> tuple[str, str, str]:
        """Kind, words and icon of how the network is. A session with the fleet says nothing of what sends: a
        sign-in page may catch that alone."""
        if problem in _CAUGHT:
            return "warn", self._words("bar.caught", g.language), "warn"
        if problem in _REFUSED and not online:
            return "warn", self._words("bar.refused", g.language), "warn"
        if online:
            return "ok", self._words("bar.online", g.language), "signal"
        return "none", self._words("bar.offline", g.language), "no-signal"

    def _one(self, key: str, otherwise: str, language: str = "") -> str:
        return self._words(key if key in self._words else otherwise, language or g.language)


def masked(identity: Identity) -> str:
    """The national register number with its serial number hidden: '85.07.30-•••.••'."""
    digits = identity.national_number
    return f"{digits[0:2]}.{digits[2:4]}.{digits[4:6]}-•••.••" if len(digits) == 11 else "•••"
