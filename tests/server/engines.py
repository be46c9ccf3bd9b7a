"""The two databases a town can stand on."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from protocol.ids import new_ulid
from tests.postgresql import OWNER, Postgresql

SQLITE, POSTGRESQL = "sqlite", "postgresql"
TEMPLATE = "filled"


@dataclass(frozen=True)
class Engine:
    """`server`: None for SQLite."""

    server: Postgresql | None = None

    def lines(self, filled: Path, data: Path) -> tuple[str, str]:
        """A filled database, and what fleet.toml says of it; its name, "" for a file."""
        if self.server is None:
            shutil.copyfile(filled, data / "fleet.db")
            return "", ""
        name = f"town-{new_ulid().lower()}"
        self.server.create(name, TEMPLATE)
        urls = f'url = "{self.server.url(name)}"\nowner_url = "{self.server.url(name, OWNER)}"'
        return name, f"[database]\n{urls}\n"

    def drop(self, name: str) -> None:
        if self.server is not None:
            self.server.drop(name)


SQLITE_FILE = Engine()
