"""The commands under `oplead-sync oplead`."""
