"""Oplead as the sandbox plays it."""
