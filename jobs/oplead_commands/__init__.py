"""What `oplead-sync oplead …` does: the only commands that write to Oplead."""
