"""Meta: identity rules, limits, and the sink that uploads conversions."""
