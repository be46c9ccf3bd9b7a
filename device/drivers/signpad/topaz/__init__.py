"""Topaz SigLite 1x5 on a serial line (FTDI)."""

from device.drivers.signpad.topaz.driver import Settings, TopazPad, open_driver

__all__ = ["Settings", "TopazPad", "open_driver"]
