"""The database could not do it at this moment, and did none of it: it is held, is away, or ended the one of
two transactions that waited for each other. No mistake of ours; it may be tried again.
"""

from collections.abc import Mapping

from sqlalchemy.exc import OperationalError

from server.db.queueing import WriterHeld

NotNow = WriterHeld | OperationalError
NOT_NOW = (WriterHeld, OperationalError)


def why(problem: NotNow) -> str:
    """For a program."""
    return "writer-held" if isinstance(problem, WriterHeld) else "database"


def told(problem: NotNow) -> Mapping[str, object]:
    """For the log."""
    if isinstance(problem, WriterHeld):
        return problem.told
    said = str(problem.orig).partition("\n")[0]  # what follows names the statement
    return {"sqlstate": getattr(problem.orig, "sqlstate", None), "said": said}
