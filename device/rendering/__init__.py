"""Captures as files: a finger image as PNG, ink as SVG and PNG. Pure, in memory, never a temporary file."""
