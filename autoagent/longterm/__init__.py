"""Long-term memory in the loop."""
