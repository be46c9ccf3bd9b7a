"""The fleet as manager of its broker: who may do what, revocation lists, and whether the broker is safe."""
