"""kill -9 in the middle of sealing: afterwards the visit is whole or its packet is, never half of each."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.device.vault.kit import PIN, WORLD, build_kit

ROOT = Path(__file__).parents[3]
# A process of its own: opens the vault, and is killed between two statements, or whenever.
SEALING = """
    import os, signal, sys
    from pathlib import Path
    from device.vault import keys
    keys.MEMORY_KIB, keys.ITERATIONS = 64, 1
    from device.vault.database import Database
    from device.vault.gate import Gate
    from device.vault.keysource import FileKeySource
    from protocol.sealed.outer import read_outer
    from protocol.sealed.written import Written, named
    from tests.device.vault.kit import HandClock

    folder, when, packet_id, visit_id = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    database = Database(folder / "vault.db")
    gate = Gate(database, FileKeySource(folder / "device-secret"), HandClock())
    vault = gate.unlock("an.peeters", sys.argv[5])
    def die(moment):
        if when == moment:
            os.kill(os.getpid(), signal.SIGKILL)
    data = (folder / "packet").read_bytes()
    outer = read_outer(data)
    with vault.create(packet_id) as file:
        die("begun")
        file.space(len(data))[outer.payload_offset:] = data[outer.payload_offset:]
        die("half written")
        file.begin(data[: outer.payload_offset])
        with database.transaction() as tx:
            written = Written(named(outer.manifest), outer.manifest_sha256, len(data), file.finish)
            vault.put_sealed(tx, packet_id, visit_id, written)
            die("begun to be written")
            tx.first(lambda: die("written"))
        die("committed")
"""


def sealing(kit, sealed, when):
    (kit.folder / "packet").write_bytes(sealed.data)
    arguments = [str(kit.folder), when, sealed.manifest.packet_id, sealed.manifest.visit_id, PIN]
    return [sys.executable, "-c", textwrap.dedent(SEALING), *arguments]


def started(folder):
    folder.mkdir(exist_ok=True)
    kit = build_kit(folder)
    sealed = WORLD.packet()
    vault = kit.unlock()
    with kit.database.transaction() as tx:
        vault.new_visit_key(tx, sealed.manifest.visit_id)
        vault.put(tx, sealed.manifest.visit_id, "photo", "photo", b"jpeg" * 50_000)
    kit.database.close()
    return kit, sealed


def state_after(kit, sealed):
    again = kit.reopen()
    vault = again.unlock()
    keys_left = again.database.rows("SELECT visit_id FROM visit_key")
    shelf = vault.sealed()
    files = [path.name for path in kit.folder.glob("vault.db-*.sealed")]
    assert len(files) == len(shelf), "what was never kept is cleared away"
    assert again.database.row("PRAGMA integrity_check") == ("ok",)
    if shelf:
        assert vault.read_sealed(sealed.manifest.packet_id) == sealed.data
        assert keys_left == again.database.rows("SELECT visit_id FROM record") == []
        assert vault.next_seq() == (2, sealed.manifest_sha256)
    else:
        assert vault.get(sealed.manifest.visit_id, "photo").data == b"jpeg" * 50_000
        assert vault.next_seq()[0] == 1
    log = kit.folder / "vault.db-wal"
    log_size = log.stat().st_size
    again.database.close()
    return ("sealed" if shelf else "open"), log_size


@pytest.mark.parametrize(
    ("when", "state"),
    [
        *(("begun", "open"), ("half written", "open"), ("begun to be written", "open")),
        *(("written", "open"), ("committed", "sealed")),
    ],
)
def test_killed_at_a_known_place_the_vault_is_on_one_side(tmp_path, when, state):
    kit, sealed = started(tmp_path)
    done = subprocess.run(sealing(kit, sealed, when), cwd=ROOT, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert state_after(kit, sealed)[0] == state


def test_killed_at_any_moment_the_vault_is_on_one_side(tmp_path):
    seen = set()
    kit, sealed = started(tmp_path)
    start = time.monotonic()
    subprocess.run(sealing(kit, sealed, "never"), cwd=ROOT, check=True, timeout=60)
    whole = time.monotonic() - start
    for round_ in range(4):
        kit, sealed = started(tmp_path / str(round_))
        process = subprocess.Popen(sealing(kit, sealed, "never"), cwd=ROOT)
        time.sleep(whole * (0.70 + 0.09 * round_))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        seen.add(state_after(kit, sealed)[0])
    assert seen <= {"open", "sealed"}


def test_a_log_left_by_a_crash_after_shredding_is_emptied_at_the_next_start(tmp_path):
    kit, sealed = started(tmp_path)
    subprocess.run(sealing(kit, sealed, "written"), cwd=ROOT, check=False, timeout=60)
    again = kit.reopen()
    assert (tmp_path / "vault.db-wal").stat().st_size == 0
    again.database.close()
