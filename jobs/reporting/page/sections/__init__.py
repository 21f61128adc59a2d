"""The sections of the page, made of words and formatted numbers."""
