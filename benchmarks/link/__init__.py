"""A bad mobile link between kit and fleet, and how near the uploader comes to what such a link can carry."""
