"""The service catalogue: what a visit for a service consists of, as data that kit and fleet read alike."""

from protocol.catalogue.loader import BadCatalogue, Entry, in_force, parse, shipped
from protocol.catalogue.narrowed import narrowed
from protocol.catalogue.schema import Service

__all__ = ["BadCatalogue", "Entry", "Service", "in_force", "narrowed", "parse", "shipped"]
