"""Sub-agents: who they are, what they may use, how they work beside their agent."""
