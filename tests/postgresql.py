"""A real PostgreSQL in a private folder, on a unix socket and nothing else, for one run of the tests."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from tests.mosquitto import until

OWNER, APP = "fleet_owner", "fleet_app"
PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=Path("initdb")).parent
# Whether a commit survives a power cut is PostgreSQL's own business; ours are processes that die.
SETTINGS = {
    "listen_addresses": "''",
    "max_connections": "150",
    "shared_buffers": "64MB",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "10s",
    "timezone": "'Pacific/Chatham'",  # ours must not care
}


class Postgresql:
    """One server; a superuser `postgres`, an owner of tables, and the role the programs run as."""

    def __init__(self, durable: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tl-pg-"))  # short: a socket's name has at most 107 bytes
        self._user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        if self._user:
            shutil.chown(self.folder, self._user)
        self._run(
            "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"
        )
        settings = SETTINGS | ({"fsync": "on", "full_page_writes": "on"} if durable else {})
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"unix_socket_directories = '{self.folder}'\n")
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        self.start()
        for role in (OWNER, APP):
            self.do(sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS").format(sql.Identifier(role)))

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        self.log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [PROGRAMS / "postgres", "-D", self.data],
            stdout=self.log,
            stderr=self.log,
            cwd=self.folder,
            **self._identity(),
        )
        until(self._answers, 60, "PostgreSQL")

    def kill(self) -> None:
        """As when the machine loses it; it recovers from its log at the next start."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(30)
        self.log.close()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)  # "fast": connections are cut
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.folder)

    def do(self, statement: "sql.Composed | LiteralString") -> None:
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def create(self, name: str, template: str = "template0") -> None:
        """A database that OWNER owns, filled as `template` is."""
        self.do(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(OWNER), sql.Identifier(template)
            )
        )

    def drop(self, name: str) -> None:
        self.do(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def away(self, name: str) -> Iterator[None]:
        """Nobody has a connection to this database, or gets one, in the block."""
        allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        cut = sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}")
        self.do(allow.format(sql.Identifier(name), sql.SQL("false")))
        self.do(cut.format(sql.Literal(name)))
        yield
        self.do(allow.format(sql.Identifier(name), sql.SQL("true")))

    def url(self, name: str, role: str = APP) -> str:
        return f"postgresql://{role}@/{name}?host={self.folder}"

    def dsn(self, name: str, role: str = "postgres") -> str:
        return f"host={self.folder} dbname={name} user={role}"

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            psycopg.connect(self.dsn("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *argv: str | Path) -> None:
        subprocess.run(
            [PROGRAMS / program, *argv],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self._identity(),
        )

    def _identity(self) -> dict[str, object]:
        if self._user is None:
            return {}
        entry = pwd.getpwnam(self._user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
