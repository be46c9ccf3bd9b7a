"""What all commands share: their options, how they answer, and how they fail.

Exit codes: 0 done, 1 failed (a code and a remedy on stderr), 2 usage, 3 input read but refused.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from server.config import BadConfig, read
from server.settings import Fleet

if TYPE_CHECKING:  # importing it takes longer than most commands
    from server.db.engine import Database

Config = Annotated[Path, typer.Option(help="fleet.toml", exists=True, dir_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]

FAILED, REFUSED = 1, 3


@contextmanager
def opened(config: Path, *, checked: bool = True) -> "Iterator[tuple[Fleet, Database]]":
    """The configuration and its database; `checked`: only when it has the shape this program needs."""
    from server.db import schema
    from server.db.engine import Database

    fleet = read(config)
    fleet.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database(fleet.database_url)
    try:
        if checked:
            schema.check(database)
        yield fleet, database
    finally:
        database.close()


@contextmanager
def failures() -> Iterator[None]:
    """Turn what can go wrong into a line on stderr and an exit code."""
    from sqlalchemy.exc import OperationalError

    from server.auth.accounts import BadAccount
    from server.broker.problem import BrokerProblem
    from server.db.queueing import WriterHeld
    from server.db.schema import NotMigrated
    from server.db.tenancy import Unguarded
    from server.fleet.broker_health import BrokerUnsafe
    from server.fleet.refused import Invalid, Refused
    from server.trust import BadTrust

    try:
        yield
    except BadConfig as problem:
        end(FAILED, "bad-config", str(problem))
    except BrokerProblem as problem:
        end(FAILED, problem.code, problem.remedy)
    except BrokerUnsafe as problem:
        end(FAILED, "broker-unsafe", str(problem))
    except BadTrust as problem:
        end(FAILED, "bad-trust", str(problem))
    except NotMigrated as problem:
        end(FAILED, "not-migrated", f"{problem}; run: thuisloket-fleet migrate --config FLEET.TOML")
    except Unguarded as problem:
        end(FAILED, "unguarded", f"{problem} (docs/postgresql.md)")
    except WriterHeld as problem:
        end(FAILED, "writer-held", f"the database is {problem}; if that program stands still, end it")
    except OperationalError as problem:
        words = "does it answer, is its folder writable, is another program holding it?"
        end(FAILED, "database", f"{str(problem.orig).strip()}; {words}")
    except BadAccount as problem:
        end(REFUSED, problem.code, str(problem))
    except Invalid as problem:
        end(REFUSED, "invalid", str(problem))
    except Refused as problem:
        end(REFUSED, problem.code, "")


def say(answer: Mapping[str, object], as_json: bool) -> None:
    """The answer of a command, for a program or for a person."""
    if as_json:
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        sys.stdout.write("  ".join(f"{name}: {value}" for name, value in answer.items()) + "\n")


def say_object(answer: Mapping[str, object], words: Iterable[str], as_json: bool) -> None:
    """As `say`, where a person gets lines of their own."""
    sys.stdout.write(json.dumps(answer) + "\n" if as_json else "".join(f"{line}\n" for line in words))


def end(status: int, code: str, words: str) -> NoReturn:
    """Leave with `status`, and the code and what to do on stderr."""
    sys.stderr.write(f"{code}: {words}\n" if words else f"{code}\n")
    raise typer.Exit(status)
