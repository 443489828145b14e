"""What a study reads while it plays: files, each once, and the texts and readings made of them."""

from functools import cache, lru_cache
from typing import Any

from hvae_utils.ask import prompts, replies
from hvae_utils.measure import factors, instruments, values
from hvae_utils.play.route import Route

CACHED = 4096  # texts, presentations and readings of replies kept for the next that are the same
SHORT = 200  # characters of a reply that is likely to come again


class Sources:
    """What one call takes from the data files, and the routes that it has found.

    routes: by respondent, see `route.find`.
    """

    def __init__(self) -> None:
        self.pack = cache(prompts.load)
        self.value = cache(values.get)
        self.instrument = cache(instruments.load)
        self.items = lru_cache(CACHED)(self._items)
        self.routes: dict[str, Route] = {}
        self._kept = lru_cache(CACHED)(self._read)

    def _items(
        self,
        name: str,
        order: str,
        labels: str,
        seed: int,
        wording: str,
        value: str,
        goal: Any,
        reasoned: bool,
        induction: str,
    ) -> list[tuple[prompts.Presentation, str]]:
        """Return how each item is shown and in which words; the seed matters to shuffled orders."""
        instrument, pack, assigned = self.instrument(name), self.pack(wording), self.value(value)
        items = []
        for item in range(len(instrument.items)):
            places = factors.option_order(order, item, instrument.options, seed)
            shown = prompts.present(instrument, item, places, factors.LABEL_SETS[labels])
            text = prompts.item_text(pack, assigned, instrument, shown, goal, reasoned, induction)
            items.append((shown, text))
        return items

    def reading(self, name: str, shown: prompts.Presentation, record: Any) -> replies.Reply:
        """Return the reading of the reply that a record holds, to an item of this instrument."""
        read = self._kept if len(record["text"] or "") <= SHORT else self._read
        ended = record["text"], record["finish_reason"], record["error"]
        return read(name, shown, record.get("cause", ""), *ended)

    def _read(
        self, name: str, shown: prompts.Presentation, cause: str, *ended: str | None
    ) -> replies.Reply:
        payoffs = self.instrument(name).printed[shown.item, list(shown.order)]
        return replies.read(*ended, shown.labels, payoffs, cause)
