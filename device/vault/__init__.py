"""Keys, the encrypted store, shredding, and the PIN gate: the only room that sees a key of the store."""
