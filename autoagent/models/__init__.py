"""The client of a model server, and what is known of models."""
