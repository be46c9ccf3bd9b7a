"""Drivers behind the ports: codec (pure) + link + patience. They raise only KitError and know nothing of
visits."""
