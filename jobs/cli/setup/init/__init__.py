"""`init`: writes a first settings file from a few answers."""
