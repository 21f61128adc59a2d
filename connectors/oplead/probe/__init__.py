"""Discover how an Oplead platform responds, since its API is undocumented, with a bounded number of requests.

`access`, `pagination` and `sampling` send requests; `probe` verifies the findings with a few more before suggesting
settings. `field_survey` and `field_tree` analyse the responses and are pure.
"""

from connectors.oplead.probe.probe import OpleadProbe

__all__ = ["OpleadProbe"]
