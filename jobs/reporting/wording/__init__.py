"""What is said to people: for states and reasons, platforms' codes, messages and incidents."""
