"""What the answers of both of Google's interfaces have in common."""

import re

REQUEST_ID = re.compile(r"[\w.:/=+-]{1,200}", re.ASCII)
"""What an id of theirs may be, so that it can be kept and shown."""

SAYING_NOTHING = frozenset({"CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Statuses of a server that failed, perhaps after it had recorded everything, whatever else it says.

https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
"""
