"""Where things lie in the spool, how many and how large they may be, and which names are names.

packets/<n>-<packet>.sealed  the agent's, numbered as they are offered: no clock says which is oldest
marks/<packet>.json          the uplink's word on a packet
events/<seq>-<message>.json  the agent puts, the uplink drops on receipt; events.seq is the last one offered
past/<n>-<message>.json      the agent's, health that nobody heard; the uplink drops what the broker has
shown/<name>.json            birth and health, newest only
bag, receipts/<packet>.jws   the uplink puts; the agent drops receipts
newest                       the uplink's: the newest instant that the fleet has told
try-now                      the agent's: a person does not want to wait; the uplink drops it
soon                         the agent's: a packet will be sealed in a moment; it drops it
renew-now                    the agent's: the fleet commands a renewal; the uplink drops it once it is done
resign-now                   the agent's own: the same of its signing certificate
renewal.request, .done       the agent's: its signing certificate; renewal.grant is the answer
lease.request, lease.ready   the agent puts, the uplink drops when it is answered; lease.grant the other way
list.wanted                  the agent's: who signs the recipient list; list.jws the uplink's: the newest
commands/<job>.jws, wish.jws the uplink puts, the agent judges; it drops commands it has dealt with
tuning.json, reconnect       the agent's: what the uplink is set to; that it is to connect anew
link.json, session           the uplink's; damaged/ is what could not be read any more
"""

import fcntl
import os
import re
from pathlib import Path

from device.spool import safefile
from protocol.ids import is_ulid

MAX_PACKET = 8 * 1024 * 1024  # an application is 300 to 900 kB
MAX_PACKETS = 500
MAX_BAG = 1024 * 1024
MAX_RECEIPT = 16 * 1024
MAX_RECEIPTS = 2000
MAX_REPORT = 16 * 1024
MAX_REPORTS = 10_000
MAX_SHOWN = 16 * 1024
MAX_PAST = 192  # health reports: two days without network, at one a quarter of an hour
MAX_PLACES = 64 * 1024
MAX_LEASE = 64 * 1024
MAX_LIST = 128 * 1024
MAX_COMMAND = 12_000
MAX_COMMANDS = 64
MAX_RENEWAL = 16 * 1024
MAX_GRANT = 96 * 1024

_PACKET = re.compile(r"([0-9]{12})-([0-9A-Z]{26})\.sealed")
_EVENT = re.compile(r"([0-9]{12})-([0-9A-Z]{26})\.json")
_FOLDERS = ("packets", "marks", "events", "shown", "receipts", "damaged", "commands", "past")


class SpoolRefused(ValueError):
    """Does not belong in a spool. `code` is one of bad-name, empty, too-big, differs, full."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


def bounded(data: bytes, most: int) -> bytes:
    """`data`. SpoolRefused empty, too-big: more than `most` bytes."""
    if not 0 < len(data) <= most:
        raise SpoolRefused("too-big" if data else "empty", f"{len(data)} bytes")
    return data


class Layout:
    """Paths of one spool. Nothing becomes a file name before it is known to be an id."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (
            self.packets,
            self.marks,
            self.events,
            self.shown,
            self.receipts,
            self.damaged,
            self.commands,
            self.past,
        ) = (root / name for name in _FOLDERS)
        self.event_counter = root / "events.seq"
        self.bag = root / "bag"
        self.lease_request = root / "lease.request"
        self.lease_ready = root / "lease.ready"
        self.lease_grant = root / "lease.grant"
        self.list_wanted = root / "list.wanted"
        self.list_brought = root / "list.jws"
        self.renewal_request = root / "renewal.request"
        self.renewal_grant = root / "renewal.grant"
        self.renewal_done = root / "renewal.done"
        self.link = root / "link.json"
        self.places = root / "places.json"
        self.session = root / "session"
        self.try_now = root / "try-now"
        self.soon = root / "soon"
        self.renew_now = root / "renew-now"
        self.resign_now = root / "resign-now"
        self.newest = root / "newest"
        self.wish = root / "wish.jws"
        self.tuning = root / "tuning.json"
        self.reconnect = root / "reconnect"
        self.agent_bell = root / "agent.bell"
        self.uplink_bell = root / "uplink.bell"
        self.agent_lock = root / "agent.lock"
        self.uplink_lock = root / "uplink.lock"

    def make(self) -> None:
        for folder in (self.root, *(self.root / name for name in _FOLDERS)):
            safefile.make_folder(folder)

    def sweep(self, writer: str) -> int:
        return sum(safefile.sweep(folder, writer) for folder in (self.root, *self._folders()))

    def packets_there(self) -> dict[str, Path]:
        """Every packet that lies here, by id, in the order in which they were offered."""
        found = (_PACKET.fullmatch(name) for name in safefile.names(self.packets))
        return {match[2]: self.packets / match[0] for match in found if match and is_ulid(match[2])}

    def packet(self, packet_id: str) -> Path | None:
        """Where a packet lies; None when it does not."""
        checked(packet_id)
        return self.packets_there().get(packet_id)

    def next_packet(self, packet_id: str) -> Path:
        """Where a packet that is offered now goes: behind all that lie there."""
        last = max((int(path.name[:12]) for path in self.packets_there().values()), default=0)
        return self.packets / f"{last + 1:012d}-{checked(packet_id)}.sealed"

    def mark(self, packet_id: str) -> Path:
        return self.marks / f"{checked(packet_id)}.json"

    def receipt(self, packet_id: str) -> Path:
        return self.receipts / f"{checked(packet_id)}.jws"

    def command(self, job: str) -> Path:
        return self.commands / f"{checked(job)}.jws"

    def event(self, seq: int, message_id: str) -> Path:
        return self.events / f"{seq:012d}-{checked(message_id)}.json"

    def event_names(self) -> list[tuple[int, str]]:
        """(seq, message id) of the events that lie there, oldest first."""
        return _numbered(self.events)

    def past_health(self, seq: int, message_id: str) -> Path:
        return self.past / f"{seq:012d}-{checked(message_id)}.json"

    def past_names(self) -> list[tuple[int, str]]:
        """(number, message id) of the health reports that lie there, oldest first."""
        return _numbered(self.past)

    def ids(self, folder: Path, suffix: str) -> list[str]:
        """The ids that name files `<id><suffix>` in `folder`."""
        stems = (name.removesuffix(suffix) for name in safefile.names(folder) if name.endswith(suffix))
        return [stem for stem in stems if is_ulid(stem)]

    def _folders(self) -> tuple[Path, ...]:
        return tuple(self.root / name for name in _FOLDERS)


class Claim:
    """A lock that dies with its process: who holds it is the agent, or the uplink, of this spool."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.held = True
        except BlockingIOError:
            self.held = False
        if os.fstat(self._handle).st_uid == os.geteuid():
            os.fchmod(self._handle, 0o660)

    def release(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _numbered(folder: Path) -> list[tuple[int, str]]:
    found = (_EVENT.fullmatch(name) for name in safefile.names(folder))
    return [(int(match[1]), match[2]) for match in found if match and is_ulid(match[2])]


def checked(identifier: str) -> str:
    """`identifier`, if it is a ULID. SpoolRefused bad-name otherwise."""
    if not is_ulid(identifier):
        raise SpoolRefused("bad-name", repr(identifier[:40]))
    return identifier


def is_claimed(path: Path) -> bool:
    """Whether somebody holds the claim at `path`; looking takes it for a moment, so a claimer tries twice."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def read_number(path: Path) -> int:
    """The number in a counter file; 0 when there is none to be read."""
    data = safefile.take(path, 20)
    return int(data) if data is not None and data.isdigit() else 0
