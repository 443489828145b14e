"""Who answers: prompts go out, replies come in."""
