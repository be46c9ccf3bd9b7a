"""A kiosk on a free port over desks in memory, in the hands of a real browser."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from playwright.sync_api import BrowserContext, Page
from werkzeug.serving import WSGIRequestHandler, make_server

from device.agent.front import Front
from device.kiosk import create_kiosk
from tests.device.kiosk.front import MemoryDesk
from tests.device.kiosk.play import Play
from tests.device.kiosk.scenes import SCENES
from tests.device.kiosk.today import NOW

SHOTS = os.environ.get("THUISLOKET_SHOTS")


class Clock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


class Stage:
    """The desk of the moment; one kiosk serves one after another."""

    def __init__(self) -> None:
        self.desk = MemoryDesk()

    def fresh(self, *, real: bool = False) -> MemoryDesk:
        self.desk.show()  # whoever waits for news may go
        self.desk = MemoryDesk(real=real)
        return self.desk

    def __getattr__(self, name: str) -> Any:
        return getattr(self.desk, name)


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing to say of a request that went well."""


@contextmanager
def served(stage: Stage) -> Iterator[str]:
    """The address of a kiosk over what is on the stage."""
    app = create_kiosk(cast(Front, stage), "nl", Clock())
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        stage.fresh()
        server.shutdown()
        thread.join()
        server.server_close()


def play(context: BrowserContext, address: str, desk: MemoryDesk) -> Play:
    """An officer who uses this browser's cookies."""

    def post(path: str, **fields: str) -> None:
        csrf = context.request.get(f"{address}/desk").json()["csrf"]
        answer = context.request.post(f"{address}{path}", form={**fields, "csrf": csrf}, max_redirects=0)
        assert answer.status in (303, 409), (path, answer.status, answer.text()[:300])

    return Play(desk, post)


def speak(context: BrowserContext, address: str, desk: MemoryDesk, language: str) -> None:
    """Officer and citizen both read this language from now on."""
    context.add_cookies([{"name": "lang", "value": language, "url": address}])
    desk.speak(language)


def go(page: Page, address: str, name: str) -> None:
    """To the screen of this name, with everything on it drawn."""
    page.goto(address + SCENES[name][1], wait_until="load")


def shoot(page: Page, name: str, language: str) -> None:
    """Keep a picture of the screen, when a folder for it is given in THUISLOKET_SHOTS."""
    if SHOTS:
        folder = Path(SHOTS)
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}-{language}.png", animations="disabled")
