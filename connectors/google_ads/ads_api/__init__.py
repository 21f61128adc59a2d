"""The Google Ads API: upload conversions, with every row's outcome in the answer."""

from connectors.google_ads.deferred import defer_package_loading

_LIBRARY = "google.ads.googleads.v26"
defer_package_loading(
    _LIBRARY,
    *(
        f"{_LIBRARY}.{part}{types}"
        for part in ("common", "enums", "errors", "resources", "services")
        for types in ("", ".types")
    ),
    f"{_LIBRARY}.services.services",
)
