"""HVAE workbook: when a language model is told to hold a value, does it act on it?

The package is a house of five floors; a module imports only from its own floor or below.

1 measure instruments, values, svo, scoring, rationality
2 ask     prompts, prompt_import, reply_text, reply_rules, replies, respondents, chat, local, models
3 play    study, records, progress, play
4 show    style, figure_data, figures_plane, figures_radar, figures, transcripts
5 run     profiles, manifest, runner, workbook, compare, publish, __main__

`errors` and `paths` stand beside the stairs: importable from every floor.
"""

__version__ = "0.1.0"
