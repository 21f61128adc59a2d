"""What an Oplead's answers look like, without what they say."""
