"""The kiosk through its own HTTP doors, as a browser uses them: cookies, form secret, long poll."""

import time
from collections.abc import Callable
from typing import Any

import httpx

ANSWER_S = 30.0  # longer than the kiosk lets a follower wait
AGAIN_S = 0.1

State = dict[str, Any]


class KioskRefused(Exception):
    """The kiosk said no to a form; `code` is its reason."""

    def __init__(self, path: str, code: str) -> None:
        super().__init__(f"{path}: {code}")
        self.code = code


class KioskSilent(Exception):
    """Nothing came in time of what was waited for; the text says what the kiosk showed instead."""


class Kiosk:
    """One browser. A kiosk that is being started again is waited for, at most `patience_s` at a time."""

    def __init__(self, port: int, patience_s: float = 40.0) -> None:
        self._patience_s = patience_s
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Accept": "application/json", "Accept-Language": "nl"},
            timeout=ANSWER_S,
            trust_env=False,
        )
        self._csrf = ""

    def close(self) -> None:
        self._client.close()

    def state(self, after: int | None = None) -> State:
        """What the kiosk shows: at once, or as soon as there is something newer than version `after`."""
        query = {} if after is None else {"after": str(after)}
        state: State = self._asked(lambda: self._client.get("/desk", params=query)).json()
        self._csrf = state["csrf"]
        return state

    def post(self, path: str, **fields: str) -> None:
        """Send a form. KioskRefused with the code when the answer is no."""
        answer = self._asked(lambda: self._client.post(path, data={**fields, "csrf": self._csrf}))
        if answer.status_code == httpx.codes.OK and answer.json().get("done"):
            return
        try:
            code = str(answer.json()["code"])
        except (ValueError, KeyError):
            code = f"HTTP {answer.status_code}"
        raise KioskRefused(path, code)

    def page(self) -> str:
        """The page a person would see now."""
        return self._asked(lambda: self._client.get("/", headers={"Accept": "text/html"})).text

    def wait(self, until: Callable[[State], bool], seconds: float) -> State:
        """The first state that `until` says yes to. KioskSilent after so many seconds."""
        deadline = time.monotonic() + seconds
        state = self.state()
        while not until(state):
            if time.monotonic() > deadline:
                raise KioskSilent(f"after {seconds:.0f} s the kiosk still shows {said(state)}")
            before = state["version"]
            state = self.state(after=before)
            if state["version"] == before:
                time.sleep(AGAIN_S)  # all places to wait were taken
        return state

    def _asked(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return ask()
            except httpx.TransportError as problem:
                if time.monotonic() > deadline:
                    raise KioskSilent(f"the kiosk does not answer: {problem}") from problem
                time.sleep(AGAIN_S)


def said(state: State) -> str:
    """A state in a few words, without anybody's data."""
    words = [f"{state['place']}"]
    if state.get("busy"):
        words.append(f"busy {state['busy']['what']} {state['busy']['code']}")
    if state.get("failure"):
        words.append(f"failure {state['failure']['code']} {' '.join(state['failure']['reasons'])}".strip())
    if state.get("sealed"):
        words.append(f"sealed {state['sealed']} {state.get('answer_code', '')}".strip())
    return ", ".join(words)
