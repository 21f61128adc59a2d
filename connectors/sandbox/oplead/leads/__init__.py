"""Oplead's leads: the book of them, the accidents they have, and how they are rendered in a shape."""
