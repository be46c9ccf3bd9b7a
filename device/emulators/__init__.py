"""Peripherals at byte level, written from data sheets. Programs of their own; nothing imports them, no image
has them."""
