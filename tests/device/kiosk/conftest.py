"""A kiosk over a desk in memory, asked through Flask's own client."""

from datetime import datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient

from device.kiosk import create_kiosk
from tests.device.kiosk.front import MemoryDesk
from tests.device.kiosk.play import Play
from tests.device.kiosk.today import NOW

HERE = "http://localhost"
JSON = {"Accept": "application/json"}


class Clock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def desk() -> MemoryDesk:
    return MemoryDesk()


@pytest.fixture
def app(desk: MemoryDesk) -> Flask:
    app = create_kiosk(desk, "nl", Clock())
    app.config["TESTING"] = True
    return app


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    """One that has no PIN yet."""
    return new_browser(app)


def new_browser(app: Flask) -> FlaskClient:
    return app.test_client()


def csrf(browser: FlaskClient) -> str:
    answer = browser.get("/desk")
    assert answer.json is not None
    return str(answer.json["csrf"])


def send(browser: FlaskClient, path: str, **fields: str) -> tuple[int, str]:
    """A form as a program sends it: the status and the code of a refusal, or "done"."""
    answer = browser.post(path, data={**fields, "csrf": csrf(browser)}, headers=JSON)
    told = answer.json or {}
    return answer.status_code, "done" if told.get("done") else str(told.get("code", ""))


@pytest.fixture
def play(browser: FlaskClient, desk: MemoryDesk) -> Play:
    """An officer at this browser."""

    def post(path: str, **fields: str) -> None:
        answer = browser.post(path, data={**fields, "csrf": csrf(browser)})
        assert answer.status_code == 303, (path, answer.status_code)

    return Play(desk, post)
