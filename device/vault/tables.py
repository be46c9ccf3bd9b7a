"""The vault's tables. A change of shape is a new version number and a step that gets there."""

VERSION = 1  # PRAGMA user_version

TABLES = (
    # who can unlock; the store key and the officer's signing key, wrapped under PIN and device
    "CREATE TABLE IF NOT EXISTS officer (officer_id TEXT PRIMARY KEY, name TEXT NOT NULL,"
    " salt BLOB NOT NULL, store_key BLOB NOT NULL, signing_key BLOB NOT NULL, chain TEXT NOT NULL) STRICT",
    # tells the device secret this vault was made with from another
    "CREATE TABLE IF NOT EXISTS device (only INTEGER PRIMARY KEY CHECK (only = 1),"
    " mark BLOB NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS tries (officer_id TEXT PRIMARY KEY, failures INTEGER NOT NULL,"
    " wait_s REAL NOT NULL, last INTEGER NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS visit_key (visit_id TEXT PRIMARY KEY, wrapped BLOB NOT NULL) STRICT",
    # ON DELETE CASCADE: without its key a record is noise, so it goes with the key
    "CREATE TABLE IF NOT EXISTS record (visit_id TEXT NOT NULL REFERENCES visit_key ON DELETE CASCADE,"
    " record_id TEXT NOT NULL, kind TEXT NOT NULL, version INTEGER NOT NULL, sealed BLOB NOT NULL,"
    " PRIMARY KEY (visit_id, record_id)) STRICT",
    "CREATE TABLE IF NOT EXISTS packet (packet_id TEXT PRIMARY KEY, visit_id TEXT NOT NULL,"
    " manifest_sha256 TEXT NOT NULL, data BLOB NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS packet_counter (only INTEGER PRIMARY KEY CHECK (only = 1),"
    " seq INTEGER NOT NULL, prev TEXT NOT NULL) STRICT",
)
