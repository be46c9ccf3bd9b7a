"""Which security key signs for an officer: its name for the browser, and its certificates. Nothing secret.

Whoever changes a line here has a signature that no service takes: it is checked against the roots.
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from device.vault.database import Database, Transaction
from protocol.identity import Role, check_use, role_of

TABLES = (
    "CREATE TABLE IF NOT EXISTS security_key (officer_id TEXT PRIMARY KEY REFERENCES officer ON DELETE"
    " CASCADE, credential BLOB NOT NULL, chain TEXT NOT NULL) STRICT",
    # registered at the kiosk, and not certified yet
    "CREATE TABLE IF NOT EXISTS security_key_request (officer_id TEXT PRIMARY KEY REFERENCES officer"
    " ON DELETE CASCADE, registration TEXT NOT NULL) STRICT",
)
LONGEST = 1023  # bytes of a credential's name (W3C Web Authentication, 4: credential ID)


@dataclass(frozen=True)
class SecurityKey:
    """`credential`: what the authenticator knows the key by; `chain`: leaf of role `officer-key` first."""

    credential: bytes
    chain: tuple[x509.Certificate, ...]


class SecurityKeys:
    def __init__(self, database: Database) -> None:
        self._database = database
        database.define(TABLES)

    def of(self, officer_id: str) -> SecurityKey | None:
        row = self._database.row(
            "SELECT credential, chain FROM security_key WHERE officer_id = ?", (officer_id,)
        )
        if row is None:
            return None
        return SecurityKey(bytes(row[0]), tuple(x509.load_pem_x509_certificates(row[1].encode())))

    def write(self, tx: Transaction, officer_id: str, key: SecurityKey) -> None:
        """ValueError unless the certificate is this officer's, for a security key."""
        check_use(key.chain[0], Role.OFFICER_KEY)
        if role_of(key.chain[0]) != (Role.OFFICER_KEY, officer_id) or not 0 < len(key.credential) <= LONGEST:
            raise ValueError("not this officer's security key")
        pem = b"".join(one.public_bytes(Encoding.PEM) for one in key.chain).decode()
        tx.execute("INSERT OR REPLACE INTO security_key VALUES (?, ?, ?)", (officer_id, key.credential, pem))
        tx.execute("DELETE FROM security_key_request WHERE officer_id = ?", (officer_id,))

    def request(self, tx: Transaction, officer_id: str, registration: str) -> None:
        """What the authority needs to certify a key, in place of what was asked before."""
        row = (officer_id, registration)
        tx.execute("INSERT OR REPLACE INTO security_key_request VALUES (?, ?)", row)

    def requested(self, officer_id: str) -> str | None:
        row = self._database.row(
            "SELECT registration FROM security_key_request WHERE officer_id = ?", (officer_id,)
        )
        return None if row is None else str(row[0])

    def drop(self, tx: Transaction, officer_id: str) -> None:
        tx.execute("DELETE FROM security_key WHERE officer_id = ?", (officer_id,))
