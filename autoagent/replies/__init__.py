"""The exact reader of replies."""
