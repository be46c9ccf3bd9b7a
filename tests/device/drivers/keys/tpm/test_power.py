"""The power goes: the TPM is killed in the middle, again and again. It never asks for an administrator."""

import os
import random
import shutil
import socket
import subprocess
import threading
import time

import pytest

from device.drivers.keys.tpm.source import TpmKeySource
from device.errors import Code
from device.ports import Enclosed
from tests.device.drivers.keys.tpm.swtpm import Swtpm
from tests.device.drivers.keys.tpm.test_source import RIGHT, WRONG, fails

CUTS = 400 if os.environ.get("THUISLOKET_LONG") else 25


def test_power_cuts_alone_never_lock_an_officer_out(tpm: Swtpm, source: TpmKeySource) -> None:
    """More cuts than any limit, each at another moment of unlocking or signing; the tries stay whole."""
    enclosed = source.enclose(RIGHT)
    chance = random.Random(7)
    interrupted = 0
    for _ in range(CUTS):
        cut = threading.Timer(chance.uniform(0.0, 0.02), tpm.cut)
        cut.start()
        interrupted += fails(work_until_the_cut, source, enclosed) == Code.KEY_SOURCE_GONE
        cut.join()
        tpm.start()
    assert interrupted == CUTS, "the cuts came in the middle"
    for _ in range(4):  # nothing was taken off the five tries
        assert fails(source.release, enclosed.ticket, WRONG) == Code.WRONG_PIN
    assert source.release(enclosed.ticket, RIGHT) == enclosed.secret


def work_until_the_cut(source: TpmKeySource, enclosed: Enclosed) -> None:
    while True:
        assert source.release(enclosed.ticket, RIGHT) == enclosed.secret
        source.sign(bytes(32))


def test_a_cut_after_each_wrong_proof_does_not_give_it_back(tpm: Swtpm, source: TpmKeySource) -> None:
    ticket = source.enclose(RIGHT).ticket
    told = []
    for _ in range(5):
        told.append(fails(source.release, ticket, WRONG))
        tpm.cut_and_start()
    assert told == [Code.WRONG_PIN] * 4 + [Code.PIN_BLOCKED]
    assert fails(source.release, ticket, RIGHT) == Code.PIN_BLOCKED


def test_the_lockout_that_power_cuts_do_bring_about_stops_nothing_of_ours(
    tpm: Swtpm, source: TpmKeySource
) -> None:
    """Why nothing of ours is under the TPM's dictionary-attack lockout: the right PIN and the power cut after
    it, three times, and what is under it (the disk's key, with systemd 252) opens no more."""
    enclosed = source.enclose(RIGHT)
    tools = Tools(tpm)
    tools.run("tpm2_dictionarylockout", "--setup-parameters", "--max-tries=3", "--recovery-time=3600")
    (tpm.folder / "secret").write_bytes(b"theirs")
    tools.run("tpm2_create", "-C", "0x81000001", "-i", "secret", "-p", "right", "-c", "object.ctx")
    tools.run("tpm2_evictcontrol", "-c", "object.ctx", "0x81000010")
    for _ in range(3):
        assert tools.run("tpm2_unseal", "-c", "0x81000010", "-p", "right") == "theirs"
        tools.cut_and_start()
    with pytest.raises(subprocess.CalledProcessError) as locked:
        tools.run("tpm2_unseal", "-c", "0x81000010", "-p", "right")
    assert "0x921" in locked.value.stderr
    tools.done()
    assert source.release(enclosed.ticket, RIGHT) == enclosed.secret
    assert source.sign(bytes(32))
    assert len(source.enclose(RIGHT).secret) == 32


def test_debians_own_tools_see_what_we_say_we_made(tpm: Swtpm, source: TpmKeySource) -> None:
    source.enclose(RIGHT)
    tools = Tools(tpm)
    key = tools.run("tpm2_readpublic", "-c", "0x81000001")
    for word in ("fixedtpm", "fixedparent", "noda", "restricted", "decrypt", "NIST p256"):
        assert word in key
    index = tools.run("tpm2_nvreadpublic")
    assert "0x1807400" in index
    # written, no_da, ownerread, authread, TPM_NT_PIN_FAIL, policywrite; nobody else may write it
    assert "value: 0x22060088" in index
    tools.done()


class Tools:
    """tpm2-tools on the same chip, over TCP: the only way they speak to swtpm. No socket meanwhile."""

    def __init__(self, tpm: Swtpm) -> None:
        self._tpm = tpm
        port = _two_ports()
        self._server = ("--server", f"type=tcp,port={port}", "--ctrl", f"type=tcp,port={port + 1}")
        self._env = {**os.environ, "TPM2TOOLS_TCTI": f"swtpm:host=127.0.0.1,port={port}"}
        self.cut_and_start()

    def cut_and_start(self) -> None:
        self._tpm.cut()
        self._tpm.start(*self._server)
        end = time.monotonic() + 20
        while self._try("tpm2_getcap", "handles-nv-index").returncode:
            assert time.monotonic() < end
            time.sleep(0.05)

    def run(self, *command: str) -> str:
        """What a tool prints; CalledProcessError with what it complains of."""
        ran = self._try(*command)
        ran.check_returncode()
        return ran.stdout

    def done(self) -> None:
        self._tpm.cut_and_start()

    def _try(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        program = shutil.which(name)
        assert program is not None, "tpm2-tools is missing: provisioning/setup/debian.sh test"
        return subprocess.run(
            [program, *arguments],
            env=self._env,
            cwd=self._tpm.folder,
            capture_output=True,
            text=True,
            check=False,
        )


def _two_ports() -> int:
    """A free port with a free one after it."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                two.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
