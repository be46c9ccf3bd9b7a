"""Bad links by seed: a proxy that cuts, stalls, trickles, delivers late, or is a captive portal.

A forecast is drawn from one random number generator, so a seed gives the same weather again; which bytes a
connection carries when it strikes is up to the programs, which run at their own pace.
"""

import asyncio
import random
import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["fair", "refused", "portal", "cut", "trickle", "slow", "half-open", "late"]
BAD: tuple[Kind, ...] = (
    "refused",
    "portal",
    "cut",
    "cut",
    "cut",
    "trickle",
    "slow",
    "half-open",
    "late",
    "late",
)
PORTAL = b"HTTP/1.1 302 Found\r\nLocation: http://wifi.invalid/\r\nContent-Length: 0\r\n\r\n"
CHUNK = 16_384
TRICKLED = 3_000  # bytes that go one by one, each way
LONGEST_HOLD = 65_536
GATHER_S = 0.15  # what the client writes in this time is what arrives late


@dataclass(frozen=True)
class Weather:
    """One connection's fate. `after`: bytes both ways until it strikes; `seconds`: how long it lasts."""

    kind: Kind = "fair"
    after: int = 0
    seconds: float = 0.0


def forecast(chance: random.Random, most: int, reach: int, kinds: tuple[Kind, ...] = BAD) -> list[Weather]:
    """The fates of the next connections, at most `most`, striking within `reach` bytes; then it is fair."""
    fates = []
    for _ in range(chance.randint(0, most)):
        # Half of the strikes fall in the handshake and the first exchange, where most is decided.
        after = (
            chance.randint(0, 6_000) if chance.random() < 0.5 else chance.randint(6_000, max(reach, 6_001))
        )
        fates.append(Weather(chance.choice(kinds), after, round(chance.uniform(0.02, 0.5), 3)))
    return fates


class Lane:
    """One listening port of a `Sky`; connections meet the forecast one by one, then fair weather."""

    def __init__(self, sky: "Sky", target: int) -> None:
        self._sky, self._target = sky, target
        self._fates: deque[Weather] = deque()
        self._open: set[asyncio.StreamWriter] = set()
        self._is_shut = False
        self.port = 0

    def expect(self, fates: Iterable[Weather], *, is_shut: bool = False) -> None:
        """Put these before the next connections, and cut those that are open. `is_shut`: the way is not let
        through after them either, until it is opened."""
        self._fates, self._is_shut = deque(fates), is_shut
        self._sky.call(self._cut_all)

    def open(self) -> None:
        """What is not let through is let through from here on."""
        self._is_shut = False

    async def listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._meet, "127.0.0.1", 0, limit=CHUNK)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def _cut_all(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calm = Weather("refused") if self._is_shut else Weather()
        fate = self._fates.popleft() if self._fates else calm
        self._sky.met[fate.kind] += 1
        self._open.add(writer)
        try:
            await self._suffer(fate, reader, writer)
        except (OSError, asyncio.CancelledError):
            return  # either side went away, or the test is over: that is a cut as well
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _suffer(
        self, fate: Weather, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if fate.kind == "refused":
            return
        if fate.kind == "portal":
            await reader.read(CHUNK)
            writer.write(PORTAL)
            await writer.drain()
            return
        there, up = await asyncio.open_connection("127.0.0.1", self._target, limit=CHUNK)
        try:
            struck = asyncio.Event()
            passed = Passed(fate, struck)
            ways = [
                asyncio.ensure_future(_pass(reader, up, passed)),
                asyncio.ensure_future(_pass(there, writer, passed)),
            ]
            strike = asyncio.ensure_future(struck.wait())
            done, _ = await asyncio.wait([*ways, strike], return_when=asyncio.FIRST_COMPLETED)
            for task in (*ways, strike):
                task.cancel()
            await asyncio.gather(*ways, strike, return_exceptions=True)
            if strike in done:
                await self._strike(fate, reader, writer, up)
        finally:
            up.transport.abort()

    async def _strike(
        self,
        fate: Weather,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up: asyncio.StreamWriter,
    ) -> None:
        if fate.kind == "half-open":
            await asyncio.sleep(fate.seconds)
        elif fate.kind == "late":
            held = await _gather(reader)
            writer.transport.abort()  # the kit begins anew while its old bytes are still on their way
            await asyncio.sleep(fate.seconds)
            up.write(held)
            await up.drain()
            await asyncio.sleep(GATHER_S)


class Passed:
    """Counts what went through one connection and says when its fate strikes."""

    def __init__(self, fate: Weather, struck: asyncio.Event) -> None:
        self.fate, self._struck, self._bytes = fate, struck, 0

    def count(self, size: int) -> None:
        self._bytes += size
        if self.fate.kind in ("cut", "half-open", "late") and self._bytes >= self.fate.after:
            self._struck.set()

    def room(self) -> int:
        """How much may be read at once, so that a strike falls where it should."""
        if self.fate.kind in ("cut", "half-open", "late"):
            return max(1, min(CHUNK, self.fate.after - self._bytes))
        return CHUNK


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter, passed: Passed) -> None:
    trickled = 0
    while data := await source.read(passed.room()):
        if passed.fate.kind == "slow":
            await asyncio.sleep(passed.fate.seconds / 10)
        if passed.fate.kind == "trickle" and trickled < TRICKLED:
            trickled += len(data)
            for byte in data:
                sink.write(bytes([byte]))
                await sink.drain()
                await asyncio.sleep(0)
        else:
            sink.write(data)
            await sink.drain()
        passed.count(len(data))


async def _gather(reader: asyncio.StreamReader) -> bytes:
    held = b""
    try:
        async with asyncio.timeout(GATHER_S):
            while len(held) < LONGEST_HOLD and (data := await reader.read(CHUNK)):
                held += data
    except TimeoutError:
        pass
    return held


class Sky:
    """All lanes of a test, on one thread. `met` counts the connections by the weather they met."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="sky", daemon=True)
        self._thread.start()

    def lane(self, target: int) -> Lane:
        """A new port before `target`, both on 127.0.0.1."""
        lane = Lane(self, target)
        self._servers.append(asyncio.run_coroutine_threadsafe(lane.listen(), self._loop).result(10))
        return lane

    def call(self, act: "object") -> None:
        assert callable(act)
        self._loop.call_soon_threadsafe(act)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
