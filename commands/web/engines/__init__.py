"""Search engines, each asked in its own way and answering in one form."""
