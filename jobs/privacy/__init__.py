"""What is held on people: finds, exports and erases it, when they ask or when it has grown old."""
