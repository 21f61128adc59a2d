"""Many accounts, run by any number of workers: PostgreSQL says which account is due, and procrastinate who runs it."""
