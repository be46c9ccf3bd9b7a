"""One capture from the command line: Ctrl-C cancels it, and every failure becomes an exit code of the
contract.
"""

import json
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from device.errors import Code, KitError
from device.ports import Capture

DONE, FAILED, USAGE, ABSENT, CANCELLED = 0, 1, 2, 4, 130

_ABSENT = frozenset({Code.PERIPHERAL_ABSENT, Code.PERIPHERAL_GONE})


def run(work: Callable[[Capture], dict[str, Any]], timeout: float, as_json: bool) -> int:
    """Do `work`, print what it answers, and give the exit code; code and remedy of a failure go to stderr.

    Call it from the main thread: it takes SIGINT and SIGTERM for the time of the capture.
    """
    cancel = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        cancel.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        result = work(Capture(timeout, _narrator(as_json), cancel))
    except KitError as error:
        sys.stderr.write(f"{error.code} (remedy: {error.remedy}) {error.detail}\n")
        if error.code is Code.CANCELLED:
            return CANCELLED
        return ABSENT if error.code in _ABSENT else FAILED
    except OSError as error:  # drivers let none out: it is the file we were asked to write
        sys.stderr.write(f"cannot write: {error}\n")
        return FAILED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    sys.stdout.write(_shown(result, as_json))
    return DONE


def unknown_driver(name: str, known: list[str]) -> int:
    sys.stderr.write(f"unknown driver {name!r}; known: {', '.join(known)}\n")
    return USAGE


def _narrator(as_json: bool) -> Callable[[float, str], None]:
    last = ""

    def tell(share: float, code: str) -> None:
        nonlocal last
        if code != last and not as_json:
            sys.stderr.write(f"{code}\n")
        last = code

    return tell


def _shown(result: dict[str, Any], as_json: bool) -> str:
    if as_json:
        return json.dumps(result) + "\n"
    return "".join(f"{key}: {value}\n" for key, value in result.items())
