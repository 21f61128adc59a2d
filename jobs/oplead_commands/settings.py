"""`oplead settings show`: what Oplead is set up for, as far as this key may read it."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from connectors.errors import KeyRefused, Misconfigured
from connectors.text import counted
from jobs.exit_codes import Exit
from jobs.oplead_commands.context import OpleadContext
from jobs.reporting.console import print_json, results, say, table
