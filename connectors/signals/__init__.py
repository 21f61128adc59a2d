"""What goes out besides conversions: notices, pings, and signs of life."""
