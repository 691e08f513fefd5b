"""Foreign documents as Markdown; run in a process apart, with limits, and nowhere else."""
