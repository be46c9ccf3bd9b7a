"""Bringing sealed applications to the competent service, and its signed answers back."""
