"""The camera worker: its protocol, and an agent's side that outlives every way a worker can go wrong."""

import os
import struct
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.drivers.camera import worker
from device.drivers.camera.stdio import BadMessage, Decoder, Message, encode
from device.errors import Code
from tests.device.drivers.asking import Asked, fails, open_descriptors
from tests.device.drivers.camera.pictures import jpeg, opened, scene

STAND_IN = Path(__file__).with_name("stand_in.py")

headers = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=4)
messages = st.builds(Message, headers, st.binary(max_size=90))


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for number in range(3):
            (folder / f"{number}.jpg").write_bytes(jpeg(scene(shift=7 * number).rotate(90, expand=True)))
        self.behave("well")
        self.settings = worker.Settings(
            python=sys.executable, program=str(STAND_IN), turn=270, start_s=8, answer_s=0.6
        )
        self.camera = worker.open_driver(self.settings)

    def behave(self, manner: str) -> None:
        (self.folder / "manner").write_text(manner)

    @property
    def starts(self) -> list[str]:
        return (self.folder / "starts").read_text().splitlines()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("THUISLOKET_STAND_IN", str(tmp_path))
    bench = Bench(tmp_path)
    yield bench
    bench.camera.close()


@given(st.lists(messages, max_size=5), st.lists(st.integers(0, 300), max_size=8))
def test_any_cut_of_the_stream_gives_the_same_messages(sent: list[Message], cuts: list[int]) -> None:
    stream = b"".join(map(encode, sent))
    edges = sorted({0, len(stream), *(c for c in cuts if c < len(stream))})
    decoder = Decoder()
    assert [m for a, b in pairwise(edges) for m in decoder.feed(stream[a:b])] == sent


@given(st.binary(max_size=120))
def test_noise_is_a_bad_message_or_nothing_yet(noise: bytes) -> None:
    try:
        for message in Decoder().feed(noise):
            assert isinstance(message.header, dict)
    except BadMessage:
        return


@pytest.mark.parametrize("header", [b"[]", b"null", b"{", b"\xff"])
def test_a_header_is_a_json_object(header: bytes) -> None:
    with pytest.raises(BadMessage):
        Decoder().feed(struct.pack(">II", len(header), 0) + header)


def test_previews_and_stills_come_from_one_worker(bench: Bench) -> None:
    assert bench.camera.condition().state == "ok"
    assert bench.camera.condition().model == "imx708"
    assert opened(bench.camera.preview()).size == (480, 640)
    photo = bench.camera.capture(Asked().capture)
    assert (photo.width, photo.height, photo.hints) == (827, 1063, ())
    assert len(bench.starts) == 1


@pytest.mark.parametrize(
    ("manner", "code"),
    [
        ("hangs", Code.TIMED_OUT),
        ("dies", Code.PERIPHERAL_GONE),
        ("babbles", Code.PERIPHERAL_PROTOCOL),
        ("endless", Code.PERIPHERAL_PROTOCOL),
        ("fails", Code.PERIPHERAL_GONE),
        ("torn", Code.PERIPHERAL_PROTOCOL),
        ("frozen", Code.CAMERA_FROZEN),
    ],
)
def test_a_worker_that_goes_wrong_is_replaced(bench: Bench, manner: str, code: Code) -> None:
    bench.camera.preview()
    bench.behave(manner)
    with fails(code):
        bench.camera.preview()
    bench.behave("well")
    assert opened(bench.camera.preview()).size == (480, 640)
    assert len(bench.starts) == 2
    first = int(bench.starts[0])
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


@pytest.mark.parametrize(
    ("manner", "code"), [("no camera", Code.PERIPHERAL_ABSENT), ("stranger", Code.PERIPHERAL_PROTOCOL)]
)
def test_a_worker_without_a_camera_says_so(bench: Bench, manner: str, code: Code) -> None:
    bench.behave(manner)
    with fails(code):
        bench.camera.preview()
    assert bench.camera.condition().state == "missing"


def test_a_worker_that_never_begins_is_given_up(bench: Bench) -> None:
    bench.behave("slow start")
    camera = worker.open_driver(msgspec.structs.replace(bench.settings, start_s=0.5))
    began = time.monotonic()
    with fails(Code.TIMED_OUT):
        camera.preview()
    assert time.monotonic() - began < 20


def test_no_system_python_is_absent(bench: Bench) -> None:
    camera = worker.open_driver(worker.Settings(python="/nowhere/python3"))
    with fails(Code.PERIPHERAL_ABSENT):
        camera.preview()


def test_ten_bad_workers_leave_no_descriptor_and_no_process(bench: Bench) -> None:
    bench.camera.preview()
    bench.behave("dies")
    with fails(Code.PERIPHERAL_GONE):
        bench.camera.preview()
    before = open_descriptors()
    for _ in range(9):
        with fails(Code.PERIPHERAL_GONE):
            bench.camera.preview()
    assert open_descriptors() == before
    assert bench.camera._worker is None


def test_a_cancelled_still_is_not_taken(bench: Bench) -> None:
    asked = Asked()
    asked.cancel.set()
    with fails(Code.CANCELLED):
        bench.camera.capture(asked.capture)


def test_a_closed_camera_refuses(bench: Bench) -> None:
    bench.camera.preview()
    bench.camera.close()
    with fails(Code.PERIPHERAL_ABSENT):
        bench.camera.preview()


def test_the_real_worker_without_picamera2_says_that_there_is_no_camera() -> None:
    """The program itself, in a Python that has no picamera2: its own reading of the protocol against ours."""
    done = subprocess.run(
        [sys.executable, str(worker.PROGRAM)], input=b"", capture_output=True, timeout=20, check=False
    )
    (hello,) = Decoder().feed(done.stdout)
    assert hello.header["hello"] == "thuisloket-camera/1"
    assert hello.header["error"] == "absent"
    assert done.returncode == 1


def test_the_real_worker_answers_with_a_camera_library_that_is_a_picture(tmp_path: Path) -> None:
    """The whole program, with a module named picamera2 that shows one picture and prints as libraries do."""
    (tmp_path / "picture.jpg").write_bytes(jpeg(scene(2048, 1536)))
    (tmp_path / "picamera2.py").write_text(
        "class Request:\n"
        "    def save(self, stream, out, format):\n"
        f"        out.write(open({str(tmp_path / 'picture.jpg')!r}, 'rb').read())\n"
        "    def release(self): pass\n"
        "class Picamera2:\n"
        "    camera_properties = {'Model': 'picture'}\n"
        "    options = {}\n"
        "    def create_still_configuration(self, **options): print('chatter'); return options\n"
        "    def configure(self, options): pass\n"
        "    def start(self): pass\n"
        "    def capture_request(self): return Request()\n"
    )
    requests = b"".join(encode(Message({"do": do})) for do in ("picture", "picture", "dance"))
    done = subprocess.run(
        [sys.executable, str(worker.PROGRAM)],
        input=requests,
        capture_output=True,
        timeout=20,
        check=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    hello, *pictures, refused = Decoder().feed(done.stdout)
    assert hello.header["model"] == "picture"
    assert [message.header for message in pictures] == [{"ok": True}] * 2
    assert pictures[0].body == (tmp_path / "picture.jpg").read_bytes()
    assert refused.header == {"ok": False, "code": "unknown-request"}
    assert b"chatter" in done.stderr


@pytest.mark.skipif("THUISLOKET_PICAMERA" not in os.environ, reason="needs picamera2 and libcamera")
def test_real_picamera2_through_the_whole_agent_side() -> None:
    """THUISLOKET_PICAMERA: a program that starts picamera.py where picamera2 and a (virtual) camera are."""
    camera = worker.open_driver(worker.Settings(python=os.environ["THUISLOKET_PICAMERA"], turn=0))
    try:
        assert camera.condition().state == "ok"
        assert opened(camera.preview()).height == 640
        photo = camera.capture(Asked().capture)
        assert (photo.width, photo.height) == (827, 1063)
    finally:
        camera.close()
