"""What is assumed of the live platforms, and what an account's answers say of it."""
