"""Finds out how an Oplead platform answers, since nobody has published it: asks a little, reads the answers.

`asking`, `access`, `pagination`, `filters` and `own_pages` ask; `reading` and the rest are pure.
"""

from connectors.oplead.probe.probe import OpleadProbe

__all__ = ["OpleadProbe"]
