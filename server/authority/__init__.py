"""The fleet's way to the authority that issues certificates: on this machine, or by hand."""
