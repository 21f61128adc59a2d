"""An Oplead that answers as an account was seen to: what `oplead-sync evidence` keeps, played by invented leads."""
