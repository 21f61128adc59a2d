"""What a person reads: reasons in words, tables, and the same as JSON."""
