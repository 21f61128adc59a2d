"""Oplead, Google and time played locally, strictly, on real sockets; imports nothing of ours."""
