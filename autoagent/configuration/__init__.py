"""Where each setting comes from, and what may set it."""
