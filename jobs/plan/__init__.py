"""Applies the rules to leads and updates their deliveries; sends nothing."""
