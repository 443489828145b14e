"""HVAE workbook: when a language model is told to hold a value, does it act on it?

The package is a house of five floors; a module imports only from its own floor or below.

1 measure instruments, isomorphs, values, distribution, svo, published
1 measure scoring, chance, regret, lapse, intervals, comparison, rationality, readings
1 measure presentations, debias, orders, effects, revealed, coherence, motives, recovery
1 measure answers, own_values, factors
2 ask     prompts, prompt_import, reply_text, reply_rules, replies, respondents, replay
2 ask     curl, transport, limits, chat, local, models, prices
3 play    study, records, budget, engine, play, probes, rehearsal, estimate
3 play    batch, cluster, explore
4 show    transcripts, lessons, live, widgets, widgets_model, findings, report_page
5 run     profiles, manifest, folders, runner, outcomes, workbook, compare, bundle, publish, report
5 run     course, commands, __main__

The folder `show` is on the fourth floor: style, marks, names, tables, and one file a figure.
`errors`, `paths` and `files` stand beside the stairs: importable from every floor.
"""

__version__ = "0.1.0"
