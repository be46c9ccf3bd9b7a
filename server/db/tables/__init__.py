"""The tables, by subject. Importing this package defines them all, so that foreign keys resolve."""

from server.db.tables.broker import BrokerCheck, Revocation, RevocationEffect
from server.db.tables.cases import Application, Request, StatusCode, Visit
from server.db.tables.certificates import KitCertificate
from server.db.tables.custody import CustodyDocument, CustodyStep
from server.db.tables.evidence import Holding, Incident
from server.db.tables.fleet import (
    Booking,
    Kit,
    KitLease,
    KitOfficer,
    KitTenant,
    Municipality,
    Officer,
    Postcode,
)
from server.db.tables.people import Account, SignIn, Throttle
from server.db.tables.quarantine import Quarantined
from server.db.tables.recaptures import Recapture
from server.db.tables.shape import Base, OfTenant
from server.db.tables.steering import FleetNotice, KitJob, KitTwin
from server.db.tables.traffic import Message, OutboxRow, Report, Upload

__all__ = [
    "Account",
    "Application",
    "Base",
    "Booking",
    "BrokerCheck",
    "CustodyDocument",
    "CustodyStep",
    "FleetNotice",
    "Holding",
    "Incident",
    "Kit",
    "KitCertificate",
    "KitJob",
    "KitLease",
    "KitOfficer",
    "KitTenant",
    "KitTwin",
    "Message",
    "Municipality",
    "OfTenant",
    "Officer",
    "OutboxRow",
    "Postcode",
    "Quarantined",
    "Recapture",
    "Report",
    "Request",
    "Revocation",
    "RevocationEffect",
    "SignIn",
    "StatusCode",
    "Throttle",
    "Upload",
    "Visit",
]
