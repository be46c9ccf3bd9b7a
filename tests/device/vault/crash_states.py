"""Every disk that a power cut could leave behind, made from a record of what a program did to its files.

The model is stricter than ext4: until a file has been flushed, each write and each truncation since the last
flush may or may not be on the disk, whatever their order, and of a write any of its sectors; a file that was
made or removed may be there or not until the folder has been flushed (those in the order they were done).
What was flushed before stays.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.device.vault.recorder import Create, Op, Rename, Sync, Truncate, Unlink, Word, Write

SECTOR = 512
FOUNDED = "vault.db"
"""The file whose coming, with all it holds, is where the cuts begin."""

How = Literal["all", "none", "some"]
Files = dict[str, bytes]


@dataclass
class Inode:
    """The bytes that are on the disk for certain, and what has been done since."""

    flushed: bytes = b""
    since: list[Write | Truncate] = field(default_factory=list)

    def content(self, chosen: Sequence[Write | Truncate]) -> bytes:
        data = bytearray(self.flushed)
        for op in chosen:
            if isinstance(op, Truncate):
                del data[op.size :]
                data.extend(bytes(op.size - len(data)))
            else:
                data.extend(bytes(max(0, op.at - len(data))))
                data[op.at : op.at + len(op.data)] = op.data
        return bytes(data)


@dataclass
class Disk:
    inodes: dict[str, Inode] = field(default_factory=dict)  # as the program sees them
    listed: dict[str, Inode] = field(default_factory=dict)  # the folder, as flushed
    relisted: list[dict[str, Inode]] = field(default_factory=list)  # and after each change since

    def do(self, op: Op) -> None:
        match op:
            case Create(name) if name not in self.inodes:
                self.inodes[name] = Inode()
                self.relisted.append(dict(self.inodes))
            case Unlink(name):
                del self.inodes[name]
                self.relisted.append(dict(self.inodes))
            case Rename(name, to):
                self.inodes[to] = self.inodes.pop(name)
                self.relisted.append(dict(self.inodes))
            case Sync(""):
                self.listed, self.relisted = dict(self.inodes), []
            case Sync(name):
                inode = self.inodes[name]
                inode.flushed, inode.since = inode.content(inode.since), []
            case Write(name) | Truncate(name):
                self.inodes[name].since.append(op)

    def after_cut(self, how: How, chance: random.Random) -> Files:
        """One folder that may be found afterwards."""
        if how == "some":
            listings = [self.listed, *self.relisted]
            listing = chance.choice(listings)
            share = chance.choice((0.1, 0.5, 0.9))
            return {name: inode.content(_some(inode.since, share, chance)) for name, inode in listing.items()}
        if how == "all":
            return {name: inode.content(inode.since) for name, inode in self.inodes.items()}
        return {name: inode.flushed for name, inode in self.listed.items()}


@dataclass(frozen=True)
class State:
    """`files` is what the disk holds; `said` how often each word had been said by then."""

    files: Files
    said: dict[str, int]
    point: int
    how: How


def states(ops: Sequence[Op], count: int, seed: int = 4) -> Iterator[State]:
    """`count` different states, over all of the record: first as it was asked for, then only what was
    flushed, then at random."""
    chance = random.Random(seed)
    start = next(n for n, op in enumerate(ops) if isinstance(op, Rename) and op.to == FOUNDED)
    every = range(start + 1, len(ops))
    seen: set[bytes] = set()
    walk, fruitless = 0, 0
    while len(seen) < count:
        how: How = "all" if walk == 0 else "none" if walk == 1 else "some"
        points = every if count > 4 * len(every) else chance.sample(every, min(len(every), count // 5 + 1))
        before = len(seen)
        for state in _walk(ops, set(points), how, chance):
            digest = _digest(state)
            if digest not in seen and len(seen) < count:
                seen.add(digest)
                yield state
        fruitless = fruitless + 1 if len(seen) == before else 0
        assert fruitless < 20, f"there are only {len(seen)} states"
        walk += 1


def _walk(ops: Sequence[Op], points: set[int], how: How, chance: random.Random) -> Iterator[State]:
    disk = Disk()
    said: dict[str, int] = {}
    for n, op in enumerate(ops):
        if isinstance(op, Word):
            for word in op.text.split():
                said[word] = said.get(word, 0) + 1
        disk.do(op)
        if isinstance(op, Rename) and op.to == FOUNDED:
            disk.do(Sync(""))  # `found` flushes the folder before it says to whom the bag is sealed
        if n in points:
            yield State(disk.after_cut(how, chance), dict(said), n, how)


def _some(since: list[Write | Truncate], share: float, chance: random.Random) -> list[Write | Truncate]:
    """These of what was not flushed; of a torn write, these sectors."""
    chosen: list[Write | Truncate] = []
    for op in since:
        if chance.random() >= share:
            continue
        if isinstance(op, Write) and len(op.data) > SECTOR and chance.random() < 0.25:
            chosen += [
                Write(op.name, op.at + at, op.data[at : at + SECTOR])
                for at in range(0, len(op.data), SECTOR)
                if chance.random() < 0.5
            ]
        else:
            chosen.append(op)
    return chosen


def _digest(state: State) -> bytes:
    made = hashlib.blake2b(str(sorted(state.said.items())).encode())
    for name, data in sorted(state.files.items()):
        made.update(f"{name} {len(data)} ".encode())
        made.update(data)
    return made.digest()
