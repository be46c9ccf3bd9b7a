"""The programs behind `serve`, `ingest` and `work`: each wires its own parts and runs until told to stop."""

import gc
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from protocol import shapes
from server import trust
from server.db import schema
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.fleet import broker_health
from server.processes import end_with_parent, on_stop
from server.settings import Fleet, Kits

PAGE_THREADS = 96  # an open dashboard holds one; the rest serve pages
KIT_THREADS = 32
AHEAD_BYTES = 512 * 1024
STOP_S = 2
YOUNG = 50_000  # objects made more than let go, before the collector looks at the ingest
LONGEST_HEADERS = 8190
NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME; the ssl module has no name for it


def run_pages(config: Fleet) -> None:
    """The pages, on granian."""
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    _check(config)  # before a worker fails over and over
    parent = os.getpid()

    def load(target: str) -> Callable[..., Any]:
        del target
        end_with_parent(parent, signal.SIGKILL)
        from server.app import create_app

        return create_app(config)

    Server(
        "server.app",
        address=config.web.host,
        port=config.web.port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=PAGE_THREADS,
        workers_kill_timeout=STOP_S,
        log_level=LogLevels.error,
        websockets=False,
    ).serve(target_loader=load)


def run_kits(config: Fleet) -> None:
    """The listener for kits: gunicorn's thread worker, which gives Flask the certificate of its peer."""
    from gunicorn.app.base import BaseApplication

    _check(config)
    trust.roots(config.trust.roots)

    class Listener(BaseApplication):  # type: ignore[misc] # gunicorn has no types
        def load_config(self) -> None:
            for name, value in _gunicorn(config.kits).items():
                self.cfg.set(name, value)

        def load(self) -> object:
            from server.kit_app import create_kit_app

            return create_kit_app(config, Database(config.database_url))

    Listener().run()


def run_ingest(config: Fleet) -> None:
    """The MQTT worker."""
    from server.kit_app import make_dock
    from server.mqtt import Ingest

    shapes.work_out()
    database = Database(config.database_url)
    schema.check(database)
    require_safe_broker(config, database)
    worker = Ingest(database, config.mqtt, trust.roots(config.trust.roots), make_dock(config))
    # A batch is thousands of objects that live for one commit: to the collector they look like growth, and it
    # walks over all that SQLAlchemy has, a tenth of a second each time.
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
    worker.run(_stopped())


def run_work(config: Fleet) -> None:
    """The job worker."""
    from server.authority.clerk import Clerk
    from server.broker import night
    from server.broker.steward import Manager
    from server.broker.watch import Watch
    from server.broker.worker import BrokerWorker
    from server.fleet.bags import Sealer
    from server.fleet.custody import Custodian
    from server.fleet.forwarding.breaker import Breaker
    from server.fleet.forwarding.connectors import Connectors
    from server.fleet.forwarding.forwarder import Forwarder
    from server.kit_app import make_dock
    from server.work import Worker, utc_now

    shapes.work_out()
    database = Database(config.database_url)
    schema.check(database)
    dock = make_dock(config)
    connectors = Connectors(config.services)
    worker = Worker(
        database,
        trust.field_key(config.keys),
        Sealer(trust.command_key(config.keys), config.keys.command_kid),
        dock.blobs,
        dock,
        Forwarder(database, dock.blobs, connectors, Breaker(time.monotonic), utc_now),
        Custodian(
            *trust.custody_key(config.keys),
            connectors.recipient_lists,
        ),
    )
    stop = _stopped()
    manager = Manager(database, config, utc_now)

    def nightly(now: datetime, is_halted: Callable[[], bool]) -> None:
        night.care(database, config, utc_now, now, is_halted)

    managed = config.broker
    watch = Watch(database, managed, manager.place, utc_now) if managed is not None else None
    keeper = BrokerWorker(database, manager, utc_now, nightly, watch)
    authority = managed.authority if managed is not None else None
    clerk = Clerk(database, dock.roots, authority, utc_now)
    aside = [
        threading.Thread(target=keeper.run, args=(stop,), name="broker"),
        threading.Thread(target=clerk.run, args=(stop,), name="clerk"),
    ]
    for thread in aside:
        thread.start()
    worker.run(stop)
    for thread in aside:
        thread.join()


PROGRAMS: Mapping[str, Callable[[Fleet], None]] = {
    "pages": run_pages,
    "kits": run_kits,
    "ingest": run_ingest,
    "work": run_work,
}


def _check(config: Fleet) -> None:
    """NotMigrated, BrokerUnsafe; leaves no connection open, for what follows forks."""
    database = Database(config.database_url)
    try:
        schema.check(database)
        require_safe_broker(config, database)
    finally:
        database.close()


def require_safe_broker(config: Fleet, database: Database) -> None:
    """BrokerUnsafe in production unless the broker has passed its check."""
    if config.mode == "production":
        with database.reading(EVERYONE) as db:
            broker_health.require(db, datetime.now(UTC))


def _stopped() -> threading.Event:
    stop = threading.Event()
    on_stop(stop.set)
    return stop


def _gunicorn(kits: Kits) -> dict[str, Any]:
    return {
        "bind": [f"{kits.host}:{kits.port}"],
        "workers": 1,
        "worker_class": "gthread",
        "threads": KIT_THREADS,
        "worker_connections": 500,
        "timeout": 60,
        "graceful_timeout": STOP_S,
        "keepalive": 15,
        "limit_request_line": 1024,
        "limit_request_fields": 40,
        "limit_request_field_size": LONGEST_HEADERS,
        "certfile": str(kits.certificate),
        "keyfile": str(kits.key),
        "ca_certs": str(kits.client_ca),
        "cert_reqs": ssl.CERT_REQUIRED,
        "ssl_context": _ssl_context(kits),
        "loglevel": "warning",
        "accesslog": None,
        "control_socket_disable": True,
        "when_ready": _take_ahead,
        "post_fork": lambda arbiter, worker: end_with_parent(arbiter.pid, signal.SIGKILL),
    }


def _take_ahead(arbiter: Any) -> None:
    """What a kit sends while a lost packet is sent again, perhaps twice, must find room: 64 kB, which Linux
    begins with, are half a second of a link of 1 Mbit/s, and then the kit would have to wait."""
    for listener in arbiter.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, AHEAD_BYTES)


def _ssl_context(kits: Kits) -> Callable[[object, Callable[[], ssl.SSLContext]], ssl.SSLContext]:
    made: dict[tuple[int, int], ssl.SSLContext] = {}

    def make(config: object, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """Made anew for every revocation list, so that a new one counts from the next connection on. Kept as
        long as it is the same: only within one context can a kit take its TLS session up again, and with a
        new list all sessions of before are void."""
        del config
        at = kits.crl.stat() if kits.crl is not None else None
        stamp = (at.st_mtime_ns, at.st_ino) if at is not None else (0, 0)
        context = made.get(stamp)
        if context is None:
            context = default()
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            # A kit from a drawer may come to be renewed: `kit_door` looks at the time, at every call.
            context.verify_flags |= NO_CHECK_TIME
            if kits.crl is not None:
                context.load_verify_locations(os.fspath(kits.crl))
                context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
            made.clear()
            made[stamp] = context
        return context

    return make
