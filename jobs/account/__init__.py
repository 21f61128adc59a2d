"""What must hold around an account's night: a command, the scheduler and a fleet's worker call the same."""
