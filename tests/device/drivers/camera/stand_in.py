"""A worker at the wire for tests: speaks the camera protocol from its description, with chosen manners.

Run as `python stand_in.py`, told what to do by the file beside it that THUISLOKET_STAND_IN names: one word.
"""

import json
import os
import struct
import sys
import time
from pathlib import Path


def say(header: dict, body: bytes = b"") -> None:
    text = json.dumps(header).encode()
    sys.stdout.buffer.write(struct.pack(">II", len(text), len(body)) + text + body)
    sys.stdout.buffer.flush()


def main() -> None:
    folder = Path(os.environ["THUISLOKET_STAND_IN"])
    pictures = sorted(folder.glob("*.jpg"))
    with (folder / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    manner = (folder / "manner").read_text()
    if manner == "slow start":
        time.sleep(60)
    if manner == "no camera":
        say({"hello": "thuisloket-camera/1", "error": "absent", "detail": "IndexError: no sensor"})
        return
    say(
        {"hello": "thuisloket-camera/9" if manner == "stranger" else "thuisloket-camera/1", "model": "imx708"}
    )
    turn = 0
    while head := sys.stdin.buffer.read(8):
        size, _ = struct.unpack(">II", head)
        request = json.loads(sys.stdin.buffer.read(size))
        manner = (folder / "manner").read_text()
        if manner == "hangs":
            time.sleep(60)
        elif manner == "dies":
            os._exit(3)
        elif manner == "babbles":
            sys.stdout.buffer.write(b"[0:12:04] INFO Camera camera_manager.cpp\n" * 20)
            sys.stdout.buffer.flush()
        elif manner == "endless":
            sys.stdout.buffer.write(struct.pack(">II", 2, 2**31) + b"{}")
            sys.stdout.buffer.flush()
        elif manner == "fails":
            say({"ok": False, "code": "failed", "detail": "RuntimeError: no buffer"})
        elif manner == "torn":
            say({"ok": True}, pictures[0].read_bytes()[:3000])
        elif request["do"] == "picture":
            turn += manner != "frozen"
            say({"ok": True}, pictures[turn % len(pictures)].read_bytes())


if __name__ == "__main__":
    main()
