"""The sandbox's Oplead."""
