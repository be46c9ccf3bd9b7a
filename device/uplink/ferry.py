"""One sealed packet through the broker: pieces ahead of their answers, resumed at the byte (protocol 7.2).

The same attempt as `sending.Sending`, with the same endings, by another way.
"""

from collections import deque
from collections.abc import Callable
from io import BufferedReader

import structlog

from device.uplink.problems import LinkDown
from device.uplink.sending import NotNow, Refused
from device.uplink.slip import Slip
from protocol import ferry
from protocol.ferry import LONGEST_PIECE, WINDOW, Begin, Piece, Standing
from protocol.ids import new_ulid

log = structlog.get_logger()

_REWINDS = 50  # in one attempt without a byte of progress in between


class Ferry:
    """One attempt. `sent` is told how many bytes the fleet holds, each time it says so."""

    def __init__(
        self,
        slip: Slip,
        packet_id: str,
        size: int,
        file: BufferedReader,
        answer_s: float,
        sent: Callable[[int], None],
    ) -> None:
        self._slip, self._packet_id, self._size, self._file = slip, packet_id, size, file
        self._answer_s, self._sent = answer_s, sent
        self._corr = new_ulid()
        self._ahead: deque[int] = deque()  # where pieces without an answer end
        self._position = 0  # of the next piece
        self._generation = 0
        self._landed = 0
        self._rewound: int | None = None  # to here, and nothing has landed since
        self._rewinds = 0

    def send(self, digest: str, is_over: Callable[[], bool]) -> bool:
        """False when `is_over` before the end. LinkDown, NotNow, Refused."""
        number = self._slip.begin()
        self._put(number, Begin(self._corr, self._size, digest))
        while True:
            standing = self._slip.answer(number, self._answer_s, is_over)
            if standing is None:
                return False
            if standing.packet_id == self._packet_id and self._is_done(standing):
                return True
            if self._generation:
                self._fill(number)

    def _is_done(self, standing: Standing) -> bool:
        is_begun = standing.corr == self._corr
        if not is_begun and (standing.corr or not self._generation):
            return False  # of another attempt
        if standing.state == "refused":
            raise NotNow(standing.code) if standing.code == "unknown-upload" else Refused(standing.code)
        if standing.generation < self._generation:
            return False  # about a piece of before
        if standing.state == "complete":
            self._sent(self._size)
            return True
        if standing.generation > self._generation:
            if not is_begun:
                raise NotNow("fenced")
            log.info("ferry", packet=self._packet_id, offset=standing.offset, generation=standing.generation)
            self._generation = standing.generation
            self._rewind(standing.offset)
        elif standing.code:
            self._lost(standing.offset)
        else:
            self._land(standing.offset)
        return False

    def _land(self, offset: int) -> None:
        while self._ahead and self._ahead[0] <= offset:
            self._ahead.popleft()
        if offset > self._landed:
            self._landed, self._rewound, self._rewinds = offset, None, 0
            self._sent(offset)

    def _lost(self, offset: int) -> None:
        """A piece came out of step: one before it was lost. Every later one says so too: go back once."""
        if self._rewound == offset and self._ahead:
            return
        self._rewinds += 1
        if self._rewinds > _REWINDS:
            raise NotNow("offsets")
        self._rewind(offset)
        self._rewound = offset

    def _rewind(self, offset: int) -> None:
        if offset >= self._size:
            raise LinkDown("bad-answer", "all is there, but it is not complete")
        self._ahead.clear()
        self._position = self._landed = offset

    def _fill(self, number: int) -> None:
        while len(self._ahead) < WINDOW and self._position < self._size:
            self._file.seek(self._position)
            data = self._file.read(min(LONGEST_PIECE, self._size - self._position))
            if not data:
                raise NotNow("shorter-than-it-was")
            self._put(number, Piece(self._generation, self._position, data))
            self._position += len(data)
            self._ahead.append(self._position)

    def _put(self, number: int, said: Begin | Piece) -> None:
        self._slip.put(number, self._packet_id, ferry.encode(said))
