"""Catalogues of messages, one for each language but English, in gettext's PO format."""
