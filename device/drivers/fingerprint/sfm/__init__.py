"""Suprema SFM modules (UniFinger, SFM Slim) on a UART."""

from device.drivers.fingerprint.sfm.driver import Settings, open_driver

__all__ = ["Settings", "open_driver"]
