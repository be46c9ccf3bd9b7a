"""The database could not do it at this moment, and did none of it: it is held, is away, all connections to it
are taken, or it ended the one of two transactions that waited for each other. No mistake of ours; it may be
tried again.
"""

from collections.abc import Mapping

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as AllTaken  # of the pool

from server.db.queueing import WriterHeld

NotNow = WriterHeld | OperationalError | AllTaken
NOT_NOW = (WriterHeld, OperationalError, AllTaken)


def why(problem: NotNow) -> str:
    """For a program."""
    return "writer-held" if isinstance(problem, WriterHeld) else "database"


def told(problem: NotNow) -> Mapping[str, object]:
    """For the log."""
    if isinstance(problem, WriterHeld):
        return problem.told
    if isinstance(problem, AllTaken):
        return {"said": "every connection is taken"}
    said = str(problem.orig).partition("\n")[0]  # what follows names the statement
    return {"sqlstate": getattr(problem.orig, "sqlstate", None), "said": said}
