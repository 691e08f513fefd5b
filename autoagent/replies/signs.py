"""How models mark their thinking in a reply: patterns for where it begins and ends."""

_TAG = "(?:think|thinking|thought|reasoning|analysis|reflection|scratchpad)"

THINKING = rf"(?P<thinking>(?i:<{_TAG}>|\[THINK\])|<\|channel\|>(?:analysis|commentary))"
THOUGHT = rf"(?P<thought>(?i:</{_TAG}>|\[/THINK\])|<\|channel\|>final)"
FINAL = "<|channel|>final"
"""What ends thinking that began with a channel."""
