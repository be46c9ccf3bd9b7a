"""The browsers the kiosk has met, and which one of them holds the unlocked kit. In memory only.

Only the browser that gave the PIN sees a visit; any other one on this machine gets the unlock screen, even
while the kit is unlocked. A browser is known by a random cookie that changes at each unlock.
"""

import secrets
import threading
from dataclasses import dataclass, field
from hmac import compare_digest

COOKIE = "kiosk"
MOST = 8  # browsers remembered; the one unlocked is never the one forgotten


@dataclass(frozen=True)
class Answer:
    """What was said to this browser's last form, until its next one: a code of `Code`, or "incomplete"."""

    code: str
    remedy: str


@dataclass
class Browser:
    """One browser. `seen` names what its officer has looked at (a card, a photo) and may go past."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    seen: frozenset[str] = frozenset()
    answer: Answer | None = None
    citizen: tuple[str, str] = ("", "")  # visit id and the language chosen for its citizen

    def sent_by(self, csrf: str) -> bool:
        """Whether a form with this hidden field came from a page of this browser."""
        return compare_digest(self.csrf.encode(), csrf.encode())


class Browsers:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Browser] = {}
        self._holder = ""

    def known(self, token: str) -> Browser | None:
        with self._lock:
            return self._known.get(token)

    def new(self) -> Browser:
        """A browser never seen before; the one not heard of longest is forgotten when there are too many."""
        browser = Browser()
        with self._lock:
            if len(self._known) >= MOST:
                del self._known[next(token for token in self._known if token != self._holder)]
            self._known[browser.token] = browser
        return browser

    def holds(self, browser: Browser) -> bool:
        with self._lock:
            return bool(self._holder) and compare_digest(self._holder, browser.token)

    def hand_over(self, browser: Browser) -> Browser:
        """`browser` gave the PIN: it goes on under a new cookie and holds the kit, and nobody else does."""
        fresh = Browser()
        with self._lock:
            self._known.pop(browser.token, None)
            self._known.pop(self._holder, None)
            self._known[fresh.token] = fresh
            self._holder = fresh.token
        return fresh

    def take_back(self) -> None:
        """The kit is locked."""
        with self._lock:
            self._holder = ""
