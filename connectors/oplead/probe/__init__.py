"""Discover how an Oplead platform responds, since its API is undocumented, with a bounded number of requests.

`specification` reads the platform's own specification, if there is one, and `guided` tries what it says. Without one,
`access`, `pagination`, `sampling` and `change_filter` send requests through `asking` and `trials`. `verification` tries
the findings with a few more, and `suggestion` writes them as settings.
"""

from connectors.oplead.probe.probe import OpleadProbe
from connectors.oplead.probe.specification.documentation import find_specification, parse_downloaded_specification

__all__ = ["OpleadProbe", "find_specification", "parse_downloaded_specification"]
