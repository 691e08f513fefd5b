"""autoagent: an autonomous agent for the terminal, on any OpenAI-compatible model."""

__version__ = "0.1.0"
