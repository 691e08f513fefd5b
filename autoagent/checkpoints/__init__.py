"""What stood in the workspace when, and the way back."""
