"""Personal data: what keeps it out of logs, and who may ask for it."""
