"""Measurements as ratios against a limit or a peer, both taken in the same run on the same machine."""
