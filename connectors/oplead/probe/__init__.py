"""Finds out how an Oplead platform answers, since nobody has published it: asks a little, reads the answers.

`access`, `pagination` and `sampling` ask, all within bounds, and `probe` asks once more before it suggests;
`field_survey` and `field_tree` read the answers and are pure.
"""

from connectors.oplead.probe.probe import OpleadProbe

__all__ = ["OpleadProbe"]
