"""What others do with the same bytes, each until it is on disk: the bare write, age, openssl, SQLCipher.

`age` and `openssl cms` encrypt to two recipients and write a file, which is then flushed, and the folder;
SQLCipher puts the bytes into its log under one key for everything. None of them signs, keeps a chain or
destroys a key, and none withstands a quantum computer.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import sqlcipher3


def write_durably(path: Path, data: bytes) -> None:
    unfinished = path.with_suffix(".new")
    with unfinished.open("wb", buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())
    unfinished.rename(path)
    flush(path.parent)


def flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def peers(folder: Path, plain: bytes) -> dict[str, Callable[[], None]]:
    """Programs of Debian that are here, each with a flush of its file and of the folder."""
    found: dict[str, Callable[[], None]] = {}
    if shutil.which("age"):
        made = [subprocess.run(["age-keygen"], capture_output=True, check=True).stdout for _ in range(2)]
        to = [line.split()[-1].decode() for one in made for line in one.splitlines() if b"public" in line]
        command = ["age", "-r", to[0], "-r", to[1], "-o", str(folder / "peer.age")]
        found["age"] = lambda: run_and_flush(command, plain, folder / "peer.age")
    if shutil.which("openssl"):
        for name in ("one", "two"):
            made_by = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
            made_by += ["-nodes", "-keyout", os.devnull, "-subj", f"/CN={name}", "-out", str(folder / name)]
            subprocess.run(made_by, check=True, capture_output=True)
        cms = ["openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-gcm"]
        cms += ["-out", str(folder / "peer.cms"), str(folder / "one"), str(folder / "two")]
        found["openssl cms"] = lambda: run_and_flush(cms, plain, folder / "peer.cms")
    store = cipher_store(folder / "peer.sqlcipher")

    def keep() -> None:
        store.execute("INSERT INTO packet (data) VALUES (?)", (plain,))
        store.commit()

    return found | {"SQLCipher": keep}


def cipher_store(path: Path) -> sqlcipher3.Connection:
    """A new database under a key of its own, as safe against power cuts as ours."""
    store = sqlcipher3.connect(str(path))
    store.execute(f"PRAGMA key = \"x'{os.urandom(32).hex()}'\"")
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("PRAGMA synchronous = FULL")
    store.execute("CREATE TABLE packet (id INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    store.commit()
    return store


def run_and_flush(command: list[str], plain: bytes, path: Path) -> None:
    subprocess.run(command, input=plain, check=True, capture_output=True)
    flush(path)
    flush(path.parent)
