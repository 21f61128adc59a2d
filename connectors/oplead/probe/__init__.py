"""Finds out how an Oplead platform answers, since nobody has published it: asks a little, reads the answers.

`access`, `pagination`, `filters` and `sampling` ask, all within bounds, and `trial_reading` asks once more before it
suggests; `field_places`, `field_values` and `field_tree` read the answers and are pure.
"""

from connectors.oplead.probe.probe import OpleadProbe

__all__ = ["OpleadProbe"]
