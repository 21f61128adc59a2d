"""Google Ads: identity rules, limits, and the two transports that upload conversions."""
