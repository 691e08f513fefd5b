"""Words with a slash, completed as they are typed."""

from collections.abc import Iterable, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document


class Words(Completer):
    """Completes the first word of a line that begins with a slash; each with its meaning."""

    def __init__(self, words: Sequence[tuple[str, str]]) -> None:
        self._words = words

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        begun = document.text_before_cursor
        if begun.startswith("/") and " " not in begun and "\n" not in begun:
            for word, meaning in self._words:
                name = word.split()[0]
                if name.startswith(begun.lower()) and name != begun:
                    yield Completion(name, -len(begun), display=f"{word:<14}", display_meta=meaning)
