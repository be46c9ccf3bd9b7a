"""The broker's conformance: each trap that was measured on mosquitto 2.0.11 as a check with result and
remedy.

`live` tries the broker itself, with canary kits; `twin` starts a second one with the same configuration and
kills, restarts and misleads that, which nobody may do to the real one.
"""
