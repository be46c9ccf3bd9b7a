"""`python -m competent.reference --config service.toml`: the reference competent service, for demo and tests.

With `--order` or `--count` it speaks to the ledger of a service that runs, and starts none.
"""

import json
import ssl
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from flask import Flask
from gunicorn.app.base import BaseApplication

from competent.behaviour import WORDS
from competent.failure import Failed
from competent.intake import open_intake
from competent.ledger import Ledger
from competent.settings import Settings, read_settings
from competent.web import create_app

LEDGER = "ledger.db"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn without its command line: one worker process, a few threads."""

    def __init__(self, make: Callable[[], Flask], options: dict[str, Any]) -> None:
        self._make = make
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._make()


@app.command()
def reference(
    config: Annotated[Path, typer.Option(metavar="FILE", help="service.toml")],
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep opened parts there (none are kept otherwise).")
    ] = None,
    order: Annotated[str, typer.Option(help=f"{WORDS}, once or --times.")] = "",
    times: Annotated[int, typer.Option(min=1, max=1000, help="For how many new applications.")] = 1,
    count: Annotated[bool, typer.Option("--count", help="Print what was taken in, as JSON.")] = False,
) -> None:
    """Run the service, or give one that runs an order, or count what it has."""
    try:
        settings = read_settings(config)
        ledger = Ledger(Path(settings.data) / LEDGER)
        if order:
            _order(ledger, order, times)
        elif count:
            typer.echo(json.dumps(asdict(ledger.count())))
        else:
            kept = keep or (Path(settings.keep) if settings.keep else None)
            intake = open_intake(Path(settings.trust), Path(settings.keys), ledger, kept)
            _serve(settings, lambda: create_app(intake, settings.control_token, bool(settings.client_ca)))
    except Failed as problem:
        typer.echo(f"failed: {problem}", err=True)
        raise typer.Exit(1) from problem


def _order(ledger: Ledger, order: str, times: int) -> None:
    try:
        ledger.order(order, times)
    except ValueError as problem:
        raise typer.BadParameter(str(problem)) from problem


def _serve(settings: Settings, make: Callable[[], Flask]) -> None:
    options: dict[str, Any] = {
        "bind": f"{settings.host}:{settings.port}",
        "workers": 1,
        "worker_class": "gthread",
        "threads": 8,
        "proc_name": "competent",
        "certfile": settings.certificate,
        "keyfile": settings.key,
        "ssl_context": _only_tls13,
        "graceful_timeout": 5,
        "loglevel": "info",
        "control_socket_disable": True,  # gunicorn would put one in the home folder
    }
    if settings.client_ca:
        options |= {"ca_certs": settings.client_ca, "cert_reqs": ssl.CERT_REQUIRED}
    _Server(make, options).run()


def _only_tls13(_config: object, usual: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    context = usual()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


if __name__ == "__main__":
    app(prog_name="python -m competent.reference")
