"""What a person sees: plain lines, questions, escaped text."""
