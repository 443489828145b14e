"""A mock provider whose replies are made from the prompts, and evaluations of the task by it."""

import gc
import re
import warnings

from inspect_ai import eval as evaluate
from inspect_ai.model import ModelOutput, ModelUsage, get_model

OPTION = re.compile(r"^(\w): ([\d.]+), ([\d.]+)$", re.MULTILINE)
BEST = {  # by hand: what each value prefers, of (own, other)
    "altruistic": lambda own, other: other,
    "competitive": lambda own, other: own - other,
}
STUDY = {"values": [*BEST], "wordings": ["plain", "formal"]}


def faithful(messages):
    """Return the label of the option that is best for the value that the prompt names."""
    return _best(messages, next(name for name in BEST if name in _all(messages)))


def agreeable(messages):
    """Return the label of the altruist's option, whatever value the prompt names."""
    return _best(messages, "altruistic")


def silent(messages):
    """Return no choice to any item."""
    return "I would rather not say."


def _all(messages):
    return "\n".join(message.text for message in messages)


def _best(messages, value):
    options = OPTION.findall(messages[-1].text)
    return max(options, key=lambda option: BEST[value](float(option[1]), float(option[2])))[0]


def evaluated(folder, answer=faithful, told=None, **study):
    """Evaluate the task; return the log. answer(messages) -> the reply to an item; told: a list."""
    from hvae_utils.extras import inspect_task

    def reply(messages, tools, choice, config):
        told is None or told.append((messages, config))
        last = messages[-1].text
        known = "C" if "letter C" in last else "All right."
        text = answer(messages) if OPTION.search(last) else known
        output = ModelOutput.from_content("mock-1", text)
        output.usage = ModelUsage(input_tokens=300, output_tokens=2, total_tokens=302)
        return output

    with warnings.catch_warnings():  # its own: streams left open, an old word for its waiting times
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.filterwarnings("ignore", "The 'initial' parameter", DeprecationWarning)
        (log,) = evaluate(
            inspect_task.hvae_svo_slider(**STUDY | study),
            model=get_model("mockllm/model", custom_outputs=reply),
            display="none",
            log_dir=str(folder),
        )
        gc.collect()
    assert log.status == "success", log.error and log.error.message
    return log
