"""The demo as a person starts it: it answers on loopback alone, and Ctrl-C leaves nothing behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.test_security_key import plug_in_authenticator
from tests.system.conftest import ROOT

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

DEMO = (sys.executable, "-m", "provisioning", "demo")
READY = "Ctrl-C stops everything."
PATIENCE_S = 300


def start(folder: Path, portrait: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*DEMO, "--spare-ports", "--folder", folder, "--portrait", portrait],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )


@contextmanager
def shown(prop_box: Path, portrait: Path, folder: Path) -> Iterator[tuple[int, str]]:
    """A demo that runs in `folder`: its process id, and what it has printed."""
    shutil.copytree(prop_box, folder, dirs_exist_ok=True)
    process = start(folder, portrait)
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line)
            if READY in line:
                break
        assert READY in lines[-1], "".join(lines)
        yield process.pid, "".join(lines)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def running_demo(
    prop_box: Path, portrait: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, str, Path]]:
    """One demo for the tests that leave it as it was; the last of them ends it."""
    folder = tmp_path_factory.mktemp("i")
    with shown(prop_box, portrait, folder) as (pid, printed):
        yield pid, printed, folder


def family(pid: int) -> set[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = {pid}, [pid]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            found.add(child)
            waiting.append(child)
    return found


def gone(pids: set[int], seconds: float) -> set[int]:
    """Those that still run when the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        left = {pid for pid in pids if running(pid)}
        if not left:
            break
        time.sleep(0.1)
    return left


def running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read(), "utf-8")


def test_the_stage_page_moves_cards_and_cuts_power(running_demo: tuple[int, str, Path]) -> None:
    _, printed, folder = running_demo
    stage = re.search(r"Stage.*?(http://127\.0\.0\.1:\d+/)", printed)
    assert stage is not None
    here = stage.group(1)
    token = re.search(r'name="csrf" value="([^"]+)"', page(here))
    assert token is not None

    def act(what: str, csrf: str = token.group(1)) -> str:
        form = urllib.parse.urlencode({"csrf": csrf, "act": what}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{here}act", form), timeout=90) as answer:
            return str(answer.read(), "utf-8")

    assert 'class="note good"' in act("insert:maria")
    assert 'class="note good"' in act("finger:right-index")
    assert 'class="note good"' in act("unplug:signpad")
    assert not (folder / "run" / "signpad").exists()
    assert 'class="note good"' in act("plug:signpad")
    assert 'class="status fail"' in act("stop:service")
    assert 'class="status fail"' not in act("start:service")
    assert 'class="note good"' in act("service:reject:photo-unusable")
    for what, csrf in (("insert:nobody", token.group(1)), ("insert:maria", "guessed")):
        with pytest.raises(urllib.error.HTTPError, match=r"40[34]"):
            act(what, csrf)


def test_the_printed_kiosk_takes_an_officers_security_key(
    running_demo: tuple[int, str, Path], chromium: Browser
) -> None:
    _, printed, _ = running_demo
    address = re.search(r"Kiosk.*?(http://\S+/)", printed)
    pin = re.search(r"an\.peeters +PIN ([0-9]+)|PIN ([0-9]+)", printed)
    assert address is not None
    assert pin is not None
    page = chromium.new_page(locale="nl-BE")
    page.set_default_timeout(60_000)
    _session = plug_in_authenticator(page)
    page.goto(address.group(1))
    page.locator("input[name=officer]").first.check()
    for digit in pin.group(1) or pin.group(2):
        page.locator(f"[data-digit='{digit}']").click()
    page.get_by_role("button", name="Ontgrendelen").click()
    page.get_by_role("link", name="Veiligheidssleutel").click()
    page.get_by_role("button", name="Sleutel aanmelden").click()
    page.get_by_text("Uw sleutel is aangemeld").wait_for()
    page.close()


def test_the_same_demo_answers_on_loopback_alone_and_ctrl_c_leaves_nothing(
    running_demo: tuple[int, str, Path],
) -> None:
    pid, printed, folder = running_demo
    addresses = re.findall(r"http://127\.0\.0\.1:\d+/\S*", printed)
    assert len(addresses) == 4
    for address in addresses:
        assert "<html" in page(address)
    everybody = family(pid)
    assert len(everybody) > 10
    sockets = subprocess.run(["ss", "-lntupH"], capture_output=True, text=True, check=True).stdout
    ours = [line for line in sockets.splitlines() if any(f"pid={each}," in line for each in everybody)]
    assert len(ours) >= 6
    assert not [line for line in ours if not re.search(r"\s(127\.0\.0\.1|\[::1\]):\d+\s", line)]
    signed_in = json.loads((folder / "sign-ins.json").read_text())
    assert all(pin in printed for pin in signed_in["officers"].values())
    assert all(password in printed for password in signed_in["accounts"].values())
    assert (folder / "sign-ins.json").stat().st_mode & 0o077 == 0
    os.kill(pid, signal.SIGINT)
    assert not gone(everybody, 40)


def test_programs_of_a_demo_that_is_killed_end_too(
    prop_box: Path, portrait: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with shown(prop_box, portrait, tmp_path_factory.mktemp("k")) as (pid, _):
        everybody = family(pid)
        os.kill(pid, signal.SIGKILL)
        assert not gone(everybody - {pid}, 40)


def test_a_headless_demo_that_cannot_begin_says_why_and_exits_1(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("n")
    ran = subprocess.run(
        [*DEMO, "--headless", "--folder", folder, "--portrait", folder / "nobody.jpg"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert ran.returncode == 1
    assert "no portrait at" in ran.stderr
    assert "Traceback" not in ran.stderr
