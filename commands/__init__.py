"""What an agent can do: one function a command, found by its spec."""
