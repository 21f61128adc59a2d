"""What is held on people: finds, erases and exports it."""
