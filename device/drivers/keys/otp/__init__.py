"""The device key in a Raspberry Pi's one-time programmable memory, asked of its firmware."""
