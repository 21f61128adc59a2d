"""Discover how an Oplead platform responds, since its API is undocumented, with a bounded number of requests.

`documentation` finds the specification, if there is one; `openapi`, `examples`, `specification` and `written` read it
and are pure; `guided` tries what it says. Without one, `access`, `pagination` and `sampling` send requests; `probe`
verifies the findings with a few more before suggesting settings. `field_survey` and `field_tree` analyse the responses
and are pure.
"""

from connectors.oplead.probe.documentation import find_specification, given_specification
from connectors.oplead.probe.probe import OpleadProbe

__all__ = ["OpleadProbe", "find_specification", "given_specification"]
