"""Kinds of cage for commands, and the choice between them."""
