"""A reader of YAML that follows no references, so that a short file stays a short file."""

from functools import cache
from typing import Any


@cache
def plain_loader() -> Any:
    """For `yaml.compose`: nodes alone, nothing is built; a reference is a ComposerError."""
    import yaml

    class Plain(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                event = self.peek_event()  # type: ignore[no-untyped-call]
                said = f"*{event.anchor} refers to another place, and that isn't read here"
                raise yaml.composer.ComposerError(None, None, said, event.start_mark)
            return super().compose_node(parent, index)

    return Plain
