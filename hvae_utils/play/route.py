"""How a model is asked: found by asking it for a letter that is known."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Route:
    """How the items of a study are put to one model.

    method: probabilities where the first token of the reply lists them and they can be believed,
    else text; temperature: of the questions that read them, 1 where tables at 0 are one-hot;
    thinks: none, visible (the thought is sent) or hidden (only counted); thinking_tokens: room for
    a thought in every request, 0 where it does not think; reason: why not by probabilities, '' for
    those; fault: the error because of which nothing is known, '' where all is well.
    """

    method: str = "text"
    temperature: float = 0.0
    thinks: str = "none"
    thinking_tokens: int = 0
    reason: str = ""
    fault: str = ""
