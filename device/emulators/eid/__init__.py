"""A Belgian eID at the level of APDUs, the virtual reader's line, and the making of cards."""
