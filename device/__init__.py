"""The kit: agent with kiosk, uplink, drivers, vault and the emulators its tests and demo use."""
