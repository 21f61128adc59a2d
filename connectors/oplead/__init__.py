"""Read leads from Oplead's REST API.

The response format is unpublished, so parsing is tolerant and raises when it cannot make sense of a response. The only
public reference is the API guide, https://aide.eldo.com/fr/knowledge/comment-utiliser-lapi-oplead
"""

from connectors.oplead.client import OpleadClient
from connectors.oplead.options import (
    ApiAuthScheme,
    Endpoint,
    FieldPaths,
    FormImportServiceOptions,
    OpleadOptions,
    OpleadWriteOptions,
    PaginationOptions,
    SinceQueryParameters,
    SubscriptionOptions,
    UnlabelledClickIdRules,
    WebhookFieldPaths,
    WrittenFieldPaths,
)
from connectors.oplead.parsing.webhook_parser import WebhookParser
from connectors.oplead.source import OpleadSource

__all__ = [
    "ApiAuthScheme",
    "Endpoint",
    "FieldPaths",
    "FormImportServiceOptions",
    "OpleadClient",
    "OpleadOptions",
    "OpleadSource",
    "OpleadWriteOptions",
    "PaginationOptions",
    "SinceQueryParameters",
    "SubscriptionOptions",
    "UnlabelledClickIdRules",
    "WebhookFieldPaths",
    "WebhookParser",
    "WrittenFieldPaths",
]
