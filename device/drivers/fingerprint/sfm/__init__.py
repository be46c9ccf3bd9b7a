"""Suprema SFM modules (UniFinger, SFM Slim) on a UART."""

from device.drivers.fingerprint.sfm.driver import Settings, SfmScanner, open_driver

__all__ = ["Settings", "SfmScanner", "open_driver"]
