"""Topaz SigLite 1x5 on a serial line (FTDI)."""

from device.drivers.signpad.topaz.driver import Settings, open_driver

__all__ = ["Settings", "open_driver"]
