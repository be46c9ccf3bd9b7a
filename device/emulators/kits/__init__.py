"""`emulate kits`: many light kits over mutual TLS, for load. Each has its own certificate and says birth,
presence and health; those that were given sealed applications tell of them, and upload them.

Written from docs/protocol.md 6 and 7, not from our uplink. One process and one event loop hold a thousand.
"""

from device.emulators.kits.program import main

__all__ = ["main"]
