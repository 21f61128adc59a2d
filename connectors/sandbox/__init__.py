"""Strict local simulators of Oplead, Google, Meta and time, on real sockets; imports nothing from the pipeline."""
