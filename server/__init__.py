"""The fleet server: requests, visits, kits, applications and their way to the competent service."""
