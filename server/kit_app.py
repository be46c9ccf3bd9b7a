"""The listener for kits, and for services that fetch, as one WSGI application over mutual TLS."""

from flask import Flask

from protocol import shapes
from server import trust
from server.db import schema
from server.db.engine import Database
from server.db.not_now import NOT_NOW
from server.fleet.bags import Sealer
from server.fleet.blobs import BlobStore
from server.fleet.collecting import Collection
from server.fleet.leases import Lender
from server.fleet.uploads import LONGEST_PATCH, Dock
from server.settings import Fleet
from server.web import held, kit_door, renewal_door, service_door
from server.work import utc_now


def create_kit_app(config: Fleet, database: Database) -> Flask:
    """The application on a `database` that stays the caller's. schema.NotMigrated, trust.BadTrust."""
    shapes.work_out()
    schema.check(database)
    app = Flask("server", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LONGEST_PATCH
    dock = make_dock(config)
    kit_door.mount(app, database, dock, make_lender(config), config.services, utc_now)
    for kind in NOT_NOW:
        app.register_error_handler(kind, held.answer)
    app.register_blueprint(renewal_door.blueprint(database, dock.roots, utc_now))
    app.register_blueprint(service_door.blueprint(Collection(database, dock.blobs, config.services), utc_now))
    return app


def make_lender(config: Fleet) -> Lender:
    """Whoever hands out leases, from the configuration. BadTrust."""
    return Lender(
        fields=trust.field_key(config.keys),
        sealer=Sealer(trust.command_key(config.keys), config.keys.command_kid),
        roots=trust.roots(config.trust.roots),
        hours=config.lease.hours,
        visits=config.lease.visits,
    )


def make_dock(config: Fleet) -> Dock:
    """Where packets land, from the configuration. BadTrust."""
    return Dock(
        parts=config.data / "uploads",
        blobs=BlobStore(config.data / "blobs"),
        roots=trust.roots(config.trust.roots),
    )
