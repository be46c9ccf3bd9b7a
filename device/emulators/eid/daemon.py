"""A pcscd of our own with a virtual reader, in a mount and network namespace of its own.

pcscd has one fixed place for its socket and vpcd listens on all addresses, so both are put where nobody else
is: `/run/pcscd` is the folder given, and the card's port is on a loopback that only this process has.
Clients outside find the daemon by PCSCLITE_CSOCK_NAME, since a socket with a path is reached across
namespaces.
"""

import atexit
import fcntl
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

SOCKET_NAME = "pcscd.comm"
FIXED_FOLDER = Path("/run/pcscd")  # compiled into pcscd
LONGEST_SOCKET_PATH = 107  # sun_path, unix(7)
START_S = 10.0
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1  # netdevice(7)
DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
READERS = ("Virtual PCD", "Second Virtual PCD")  # names; the second is plugged in on request
PORTS_A_READER = 10
CONFIGURATION = """FRIENDLYNAME "{name}"
DEVICENAME   /dev/null:{port:#x}
LIBPATH      {driver}
CHANNELID    {port:#x}
"""


class NoDaemon(Exception):
    """pcscd with the virtual reader cannot be started here; the text says why."""


def enter_namespaces(command: list[str]) -> None:
    """Become `command` in namespaces of its own; does not come back. The process id stays the same."""
    program = ["unshare", "--mount", "--net"]
    if os.geteuid() != 0:
        program.append("--map-root-user")
    if not _root_is_mounted():
        program += ["--propagation", "unchanged"]
    try:
        os.execvp(program[0], [*program, "--", *command])  # noqa: S606  the process is to be replaced
    except OSError as error:
        raise NoDaemon(f"unshare: {error}") from error


class Daemon:
    """pcscd, to be started inside the namespaces. `folder` becomes its `/run/pcscd`."""

    def __init__(self, folder: Path, configuration: Path, port: int) -> None:
        self.socket = folder / SOCKET_NAME
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET_PATH:
            raise NoDaemon(f"{self.socket}: longer than a socket's path may be")
        if not DRIVER.exists():
            raise NoDaemon(f"{DRIVER} is missing: install pcscd and vsmartcard-vpcd")
        self._configuration = configuration
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        configuration.mkdir(exist_ok=True)
        self.plugged: tuple[int, ...] = ()
        self.plug((0,))
        _mount_over(folder)
        _raise_loopback()

    def plug(self, readers: tuple[int, ...]) -> None:
        """Which of READERS are there from the next start on: pcscd finds serial readers only then."""
        self.plugged = readers
        for number, name in enumerate(READERS):
            file = self._configuration / f"vpcd{number}"
            file.unlink(missing_ok=True)
            if number in readers:
                port = self._port + PORTS_A_READER * number
                file.write_text(CONFIGURATION.format(name=name, port=port, driver=DRIVER))

    def start(self) -> None:
        """NoDaemon when the socket is not there in time."""
        self.socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [
                "setpriv",
                "--pdeathsig",
                "TERM",
                "pcscd",
                "-f",
                "-c",
                str(self._configuration),
                *_without_polkit(),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + START_S
        while not _answers(self.socket):
            if self._process.poll() is not None or time.monotonic() > end:
                raise NoDaemon("pcscd did not start")
            time.sleep(0.01)

    def stop(self, kill: bool = False) -> None:
        """Orderly, or as by `kill -9`, which leaves its files behind."""
        if self._process is None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:  # a card that does not answer keeps pcscd from ending
            self._process.kill()
            self._process.wait()
        self._process = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None


def _without_polkit() -> list[str]:
    """Debian 13's pcscd asks polkit about every client, and refuses all where no polkit runs. Its folder is
    only ours (0700), so there is nobody to ask about; Debian 12's has no polkit and no such option."""
    told = subprocess.run(["pcscd", "--help"], capture_output=True, text=True, check=False)
    return ["--disable-polkit"] if "--disable-polkit" in told.stdout + told.stderr else []


def _root_is_mounted() -> bool:
    """Whether `/` is a mount: in a plain chroot it is not, and its propagation cannot be changed."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split()[4] == "/" for line in mounts)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(os.fspath(path)) == 0


def _mount_over(folder: Path) -> None:
    """Make `/run/pcscd` of this namespace be `folder`."""
    if not FIXED_FOLDER.exists():  # nothing is made outside the namespace
        if FIXED_FOLDER.parent in folder.resolve().parents:
            raise NoDaemon(f"{folder} lies below {FIXED_FOLDER.parent}")
        _mount("-t", "tmpfs", "tmpfs", str(FIXED_FOLDER.parent))
        FIXED_FOLDER.mkdir()
    _mount("--bind", str(folder), str(FIXED_FOLDER))
    if not _root_is_mounted():  # it may have reached the namespace outside: take it away there too
        atexit.register(subprocess.run, ["umount", str(FIXED_FOLDER)], check=False)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoDaemon(done.stderr.strip())


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack("16xH14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def own_program(*arguments: str) -> list[str]:
    """The command line that starts this package's programs again."""
    return [sys.executable, "-m", "device.emulators", *arguments]
