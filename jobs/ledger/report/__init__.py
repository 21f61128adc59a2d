"""What reports count, counted by the database."""
