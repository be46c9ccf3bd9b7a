"""The vault's tables. A change of shape is a new version number and a step that gets there."""

VERSION = 3  # PRAGMA user_version

# the bytes lie in a file beside the database (device/vault/parcels.py)
_PACKET = (
    "CREATE TABLE IF NOT EXISTS packet (packet_id TEXT PRIMARY KEY, visit_id TEXT NOT NULL,"
    " manifest_sha256 TEXT NOT NULL, size INTEGER NOT NULL) STRICT"
)

TABLES = (
    # who can unlock: the officer's identity under PIN and device; under the identity the signing key and
    # the door key (device/vault/door.py)
    "CREATE TABLE IF NOT EXISTS officer (officer_id TEXT PRIMARY KEY, name TEXT NOT NULL,"
    " salt BLOB NOT NULL, identity BLOB NOT NULL, signing_key BLOB NOT NULL, chain TEXT NOT NULL,"
    " recipient BLOB NOT NULL, door BLOB NOT NULL) STRICT",
    # the way in for an officer who forgot the PIN: the identity under a one-use code and device
    "CREATE TABLE IF NOT EXISTS recovery (officer_id TEXT PRIMARY KEY REFERENCES officer ON DELETE CASCADE,"
    " point BLOB NOT NULL, administrator BLOB NOT NULL, sealed BLOB NOT NULL) STRICT",
    # under which epoch the store key stands, and the fleet's shares for it (device/vault/lease.py)
    "CREATE TABLE IF NOT EXISTS lease (only INTEGER PRIMARY KEY CHECK (only = 1), epoch INTEGER NOT NULL,"
    " share BLOB, next_share BLOB, ends TEXT NOT NULL, wall_ends TEXT NOT NULL,"
    " visits INTEGER NOT NULL) STRICT",
    # what happened to the ways in, until the fleet has been told
    "CREATE TABLE IF NOT EXISTS access (message_id TEXT PRIMARY KEY, at TEXT NOT NULL, what TEXT NOT NULL,"
    " officer_id TEXT NOT NULL, told INTEGER NOT NULL) STRICT",
    # tells the device secret this vault was made with from another
    "CREATE TABLE IF NOT EXISTS device (only INTEGER PRIMARY KEY CHECK (only = 1),"
    " mark BLOB NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS tries (officer_id TEXT PRIMARY KEY, failures INTEGER NOT NULL,"
    " wait_s REAL NOT NULL, last INTEGER NOT NULL) STRICT",
    # an empty `wrapped`: the visit has ended, its key is gone, its row and records go in a quiet moment
    "CREATE TABLE IF NOT EXISTS visit_key (visit_id TEXT PRIMARY KEY, wrapped BLOB NOT NULL) STRICT",
    # ON DELETE CASCADE: without its key a record is noise, so it goes with the key
    "CREATE TABLE IF NOT EXISTS record (visit_id TEXT NOT NULL REFERENCES visit_key ON DELETE CASCADE,"
    " record_id TEXT NOT NULL, kind TEXT NOT NULL, version INTEGER NOT NULL, sealed BLOB NOT NULL,"
    " PRIMARY KEY (visit_id, record_id)) STRICT",
    _PACKET,
    "CREATE TABLE IF NOT EXISTS packet_counter (only INTEGER PRIMARY KEY CHECK (only = 1),"
    " seq INTEGER NOT NULL, prev TEXT NOT NULL) STRICT",
)

FORMER = 2
"""The version before, in which a packet's bytes lay in its row; what gets there from it, once each packet has
its file."""

FROM_FORMER = (
    "ALTER TABLE packet RENAME TO former_packet",
    _PACKET,
    "INSERT INTO packet SELECT packet_id, visit_id, manifest_sha256, length(data) FROM former_packet"
    " ORDER BY rowid",
    "DROP TABLE former_packet",
    f"PRAGMA user_version={VERSION}",
)
