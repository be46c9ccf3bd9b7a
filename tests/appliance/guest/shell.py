"""Runs in the machine, as root: what the test sends over the port, one JSON object a line each way."""

import json
import subprocess
import time
from pathlib import Path

PORT = Path("/dev/virtio-ports/shell")


def answer(asked: dict[str, str]) -> dict[str, str | int]:
    try:
        ran = subprocess.run(
            ["bash", "-c", asked["run"]], capture_output=True, text=True, errors="replace", check=False,
            stdin=subprocess.DEVNULL, timeout=float(asked["seconds"]),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"rc": 124, "out": "", "err": "not done in time"}
    return {"rc": ran.returncode, "out": ran.stdout, "err": ran.stderr}


with PORT.open("r+b", buffering=0) as port:
    while True:
        line = port.readline()
        if line.endswith(b"\n"):
            port.write(json.dumps(answer(json.loads(line))).encode() + b"\n")
        else:  # nobody is at the other end
            time.sleep(0.2)
