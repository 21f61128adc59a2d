"""Pure decisions about what counts and what to send: no I/O, no clock, no platform names."""
