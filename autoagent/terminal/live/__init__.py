"""The screen of an interactive session: prompt_toolkit and rich are known here alone."""
