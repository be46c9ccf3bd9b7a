"""The kiosk in Chromium as it stands on the kit: 1280x800, touched."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.kiosk import Stage, served


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(
        viewport={"width": 1280, "height": 800}, has_touch=True, locale="nl-BE", reduced_motion="reduce"
    )
    yield context
    context.close()


@pytest.fixture(scope="session")
def stage() -> Stage:
    return Stage()


@pytest.fixture(scope="session")
def address(stage: Stage) -> Iterator[str]:
    with served(stage) as address:
        yield address
