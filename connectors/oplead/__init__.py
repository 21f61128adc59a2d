"""Reads leads from Oplead over its REST API, whose shape is not published: tolerant, and loud when lost.

Known of it: the API guide, https://aide.eldo.com/fr/knowledge/comment-utiliser-lapi-oplead
"""

from connectors.oplead.client import OpleadClient
from connectors.oplead.options import (
    AuthOptions,
    ClickIdRules,
    FieldPaths,
    OpleadOptions,
    PaginationOptions,
    SinceOptions,
)
from connectors.oplead.source import OpleadSource

__all__ = [
    "AuthOptions",
    "ClickIdRules",
    "FieldPaths",
    "OpleadClient",
    "OpleadOptions",
    "OpleadSource",
    "PaginationOptions",
    "SinceOptions",
]
