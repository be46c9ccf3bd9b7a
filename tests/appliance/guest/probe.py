"""Runs in the agent's unit in the place of the agent: what it lets a program do, as JSON on stdout."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

FAMILIES = ("AF_UNIX", "AF_INET", "AF_INET6", "AF_PACKET")


def said(act: Callable[[], object]) -> str:
    """`yes`, or the name of the error."""
    try:
        act()
    except OSError as problem:
        return os.strerror(problem.errno or 0)
    return "yes"


def written(folder: str) -> str:
    path = Path(folder) / "probe"
    return said(lambda: (path.write_text("x"), path.unlink()))


def opened(path: str) -> str:
    return said(lambda: os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)))


told = {
    "open": {path: opened(path) for path in sys.argv[1].split(",")},
    "write": {path: written(path) for path in sys.argv[2].split(",")},
    "socket": {name: said(lambda of=name: socket.socket(getattr(socket, of)).close()) for name in FAMILIES},
    "outside": said(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 9))),
    "shell": said(lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True)),
}
sys.stdout.write(json.dumps(told) + "\n")
