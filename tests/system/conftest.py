"""A whole demo for a test: built in its own folder from props made once a session, on ports of its own."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from provisioning.demo import props
from provisioning.demo.cast import CITIZENS, Citizen
from provisioning.demo.layout import Layout
from provisioning.demo.progress import Progress
from provisioning.demo.running import Demo, Script, running

ROOT = Path(__file__).parents[2]

Staged = Callable[..., AbstractContextManager[Demo]]


@pytest.fixture(scope="session")
def portrait() -> Path:
    """What the camera sees; made at set-up, made now where a test is run without it."""
    picture = ROOT / "build" / "portrait.jpg"
    if not picture.exists():
        make = [sys.executable, "-m", "device.emulators", "portrait", "--out", str(picture)]
        subprocess.run(make, check=True)
    return picture


@pytest.fixture(scope="session")
def prop_box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Authority, keys, cards and fingers, made once: they take longer than a visit."""
    folder = tmp_path_factory.mktemp("props")
    props.make(Layout(folder))
    return folder


@pytest.fixture
def staged(portrait: Path, prop_box: Path, tmp_path_factory: pytest.TempPathFactory) -> Staged:
    """`with staged() as demo:` a demo of the test's own, with one citizen's visit planned, or several."""

    @contextmanager
    def stage(citizens: tuple[Citizen, ...] = CITIZENS[:1], with_tpm: bool = False) -> Iterator[Demo]:
        folder = tmp_path_factory.mktemp("d")  # short: unix sockets lie in it
        shutil.copytree(prop_box, folder, dirs_exist_ok=True)
        script = Script(portrait, citizens, spare_ports=True, with_tpm=with_tpm)
        with running(folder, script, Progress()) as demo:
            yield demo

    return stage
