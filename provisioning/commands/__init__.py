"""The command lines of the provisioning tools; what they do lives in the modules beside this room."""
