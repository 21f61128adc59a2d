"""What counts and what goes out, decided from values alone: no I/O, no clock, no platform's name."""
