"""One face for kit and fleet: tokens, layout, macros and words."""
