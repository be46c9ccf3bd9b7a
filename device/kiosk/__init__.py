"""The officer's and the citizen's screens: a Flask app on loopback that asks only the desk."""

from device.kiosk.app import create_kiosk

__all__ = ["create_kiosk"]
