"""A virtual machine with that disk: started, asked over a port of its own, its power cut."""

import json
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

MEMORY_MB = 1536
BOOT_S, ANSWER_S = 600.0, 300.0


@dataclass(frozen=True)
class Ran:
    rc: int
    out: str
    err: str


class Machine:
    """`folder` has `disk.img`, `vmlinuz` and `initrd.img`, and gets sockets, TPM and console."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self._peer: socket.socket | None = None

    @property
    def console(self) -> str:
        return (self._folder / "console").read_text(errors="replace")

    def __enter__(self) -> "Machine":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()

    def start(self) -> None:
        """Until its shell answers."""
        at = self._folder
        state = at / "tpm"
        state.mkdir(exist_ok=True)
        tpm, shell = at / "tpm.sock", at / "shell.sock"
        for path in (tpm, shell):
            path.unlink(missing_ok=True)
        self._spawn(
            "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--ctrl", f"type=unixio,path={tpm}"
        )
        _there(tpm)
        self._spawn(
            "nice", "-n", "10", "qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot",
            "-machine", "q35,accel=tcg", "-cpu", "Westmere", "-smp", "1", "-m", str(MEMORY_MB),
            "-kernel", str(at / "vmlinuz"), "-initrd", str(at / "initrd.img"),
            "-append", "console=ttyS0 root=/dev/vda rw panic=-1 quiet",
            "-drive", f"file={at}/disk.img,if=virtio,format=raw,cache=directsync",
            "-serial", f"file:{at}/console", "-device", "qemu-xhci",
            "-chardev", f"socket,id=tpm,path={tpm}", "-tpmdev", "emulator,id=t,chardev=tpm",
            "-device", "tpm-tis,tpmdev=t", "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=sh,path={shell},server=on,wait=off",
            "-device", "virtserialport,chardev=sh,name=shell",
            "-chardev", f"file,id=line,path={at}/line", "-device", "usb-serial,chardev=line",
        )  # fmt: skip
        _there(shell)
        self._peer = socket.socket(socket.AF_UNIX)
        self._peer.connect(str(shell))
        self.run("true", BOOT_S)

    def run(self, command: str, seconds: float = ANSWER_S) -> Ran:
        """A line of bash, as root."""
        assert self._peer is not None
        self._peer.settimeout(seconds + 10)
        self._peer.sendall(json.dumps({"run": command, "seconds": seconds}).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            more = self._peer.recv(1 << 16)
            if not more:
                raise ConnectionError(f"the machine is gone: {self.console[-2000:]}")
            answer += more
        return Ran(**json.loads(answer))

    def cut(self) -> None:
        """The power, in the middle of whatever it does."""
        if self._peer is not None:
            self._peer.close()
        for process in reversed(self._running):
            process.kill()
            process.wait()
        self._running.clear()

    def _spawn(self, *words: str) -> None:
        with (self._folder / "qemu.log").open("ab") as log:
            self._running.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log))


def _there(path: Path, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.1)
