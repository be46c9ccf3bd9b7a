"""The line to a TPM: a character device, or a socket that takes the same bytes; one conversation at a time.

The kernel's `/dev/tpmrm0` gives each conversation objects and sessions of its own. A bare line does not: what
a killed program left in the TPM's few places is thrown out when they have run full.
"""

import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from device.drivers.keys.tpm import marshal
from device.drivers.keys.tpm.marshal import BadAnswer, Reader, u32
from device.errors import Code, KitError, Remedy

PATIENCE_S = 20.0  # making a key takes a slow TPM seconds
_TRIES, _PAUSE_S = 20, 0.05
_GET_CAPABILITY, _FLUSH_CONTEXT = 0x17A, 0x165
_HANDLES, _LOADED_SESSIONS, _TRANSIENT, _MOST = 1, 0x02000000, 0x80000000, 32
_FULL = frozenset({marshal.OBJECT_MEMORY, marshal.SESSION_MEMORY, marshal.MEMORY})

Exchange = Callable[[bytes], bytes]
"""A whole command in, a whole response out; OSError or BadAnswer when there is none."""


class Line:
    """A conversation. KitError key-source-gone when the TPM does not answer."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.held: set[int] = set()  # handles of this conversation, each in one of the TPM's few places

    def ask(self, command: bytes) -> bytes:
        """The response, once the TPM is done: it may say that it is busy, or full of what others left."""
        cleared = False
        for _ in range(_TRIES):
            answer = self._once(command)
            refused = marshal.meaning(int.from_bytes(answer[6:10]))
            if refused in _FULL and not cleared:
                self._throw_out()
                cleared = True
            elif refused in marshal.AGAIN:
                time.sleep(_PAUSE_S)
            else:
                return answer
        raise gone("it stays busy")

    def tidy(self) -> None:
        """Free every place; a TPM that has gone by now has freed them itself."""
        with suppress(KitError):
            for handle in tuple(self.held):
                self._flush(handle)

    def _throw_out(self) -> None:
        for first in (_LOADED_SESSIONS, _TRANSIENT):
            for handle in self._list(first):
                if handle not in self.held:
                    self._flush(handle)

    def _flush(self, handle: int) -> None:
        self.held.discard(handle)
        self._once(marshal.command(_FLUSH_CONTEXT, (), (), u32(handle)))

    def _list(self, first: int) -> list[int]:
        asked = u32(_HANDLES) + u32(first) + u32(_MOST)
        answer = self._once(marshal.command(_GET_CAPABILITY, (), (), asked))
        reader = Reader(marshal.response(answer, _GET_CAPABILITY, 0, 0).parameters)
        reader.take(5)  # whether there are more, and that these are handles
        return [reader.number(4) for _ in range(min(reader.number(4), _MOST))]

    def _once(self, command: bytes) -> bytes:
        try:
            return self._exchange(command)
        except (OSError, BadAnswer) as problem:
            raise gone(str(problem)) from problem


class Chip:
    """The TPM behind `device`. One conversation at a time in this program; others wait their turn."""

    def __init__(self, device: Path) -> None:
        self.device = device
        self._turn = threading.Lock()

    @contextmanager
    def line(self) -> Iterator[Line]:
        """KitError key-source-gone; bad-config when `device` is neither a device nor a socket."""
        with self._turn, self._open() as exchange:
            line = Line(exchange)
            try:
                yield line
            finally:
                line.tidy()

    @contextmanager
    def _open(self) -> Iterator[Exchange]:
        try:
            mode = self.device.stat().st_mode
            if stat.S_ISSOCK(mode):
                with socket.socket(socket.AF_UNIX) as end:
                    end.settimeout(PATIENCE_S)
                    end.connect(str(self.device))
                    yield lambda command: _ask_socket(end, command)
                return
            if not stat.S_ISCHR(mode):
                raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"{self.device} is no TPM")
            handle = os.open(self.device, os.O_RDWR | os.O_CLOEXEC)
        except OSError as problem:
            raise gone(f"{self.device}: {problem.strerror}") from problem
        try:
            yield lambda command: _ask_file(handle, command)
        finally:
            os.close(handle)


def gone(why: str) -> KitError:
    return KitError(Code.KEY_SOURCE_GONE, Remedy.WORKSHOP, f"the TPM: {why}")


def _ask_socket(end: socket.socket, command: bytes) -> bytes:
    end.sendall(command)
    answer = b""
    while len(answer) < marshal.HEADER or len(answer) < marshal.length(answer[: marshal.HEADER]):
        more = end.recv(marshal.LARGEST)
        if not more:
            raise BadAnswer("it hung up")
        answer += more
    return answer


def _ask_file(handle: int, command: bytes) -> bytes:
    """The kernel's driver takes a whole command and gives a whole response (tpm(4) has no other framing)."""
    os.write(handle, command)
    answer = os.read(handle, marshal.LARGEST)
    marshal.length(answer[: marshal.HEADER])
    return answer
