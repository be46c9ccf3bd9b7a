"""A whole fleet on loopback: built from nothing, started, played by a person or by itself, stopped."""
