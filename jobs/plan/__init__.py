"""Judges leads by the rules and brings their deliveries in line; sends nothing."""
