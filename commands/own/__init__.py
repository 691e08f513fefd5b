"""Commands that the user wrote: declared, found, listed and called in a process of their own."""
