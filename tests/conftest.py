"""What tests of several rooms share: stable ids, signals as a person's shell has them, one Chromium."""

import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, sync_playwright

from tests.chromium import ARGUMENTS, EXECUTABLE
from tests.device.drivers.eid.reader import VirtualReader

LONGEST = 30

# Hypothesis looks at the time, and the machine may do ten other things.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Long texts and bytes are named by their argument: many hold keys that differ from run to run, and
    several processes can share the work only when all know the tests by the same names."""
    return argname if isinstance(val, str | bytes) and len(val) > LONGEST else None


def pytest_configure(config: pytest.Config) -> None:
    """A shell without job control starts what runs behind it deaf to Ctrl-C, and programs inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A program that a test runs in this process sets up logging to a stderr that is closed when the test is
    over; whatever logs in a later test would fall over it."""
    root, settings = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**settings)
    structlog.contextvars.clear_contextvars()
    root.handlers, root.level = handlers, level


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The one of this process: Playwright runs only once in each."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def virtual() -> Iterator[VirtualReader]:
    """The one of this process, with its own pcscd."""
    folder = Path(tempfile.mkdtemp(prefix="eid-"))
    try:
        with VirtualReader(folder) as reader:
            os.environ["PCSCLITE_CSOCK_NAME"] = str(reader.socket)  # for good: libpcsclite reads it once
            yield reader
    finally:
        shutil.rmtree(folder)
