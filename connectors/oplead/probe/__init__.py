"""Finds out how an Oplead platform answers, since nobody has published it: asks a little, reads the answers.

`access`, `pagination`, `extent`, `filters`, `own_pages`, `sampling` and `checking` ask, all within bounds; what is not
named here reads the answers and is pure, but for `settling`, which decides what to suggest.
"""

from connectors.oplead.probe.probe import OpleadProbe

__all__ = ["OpleadProbe"]
