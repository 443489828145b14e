"""Pictures and words: what is shown of a run, drawn from its tables and never estimated here.

style: palette, page, saving and gallery. marks: what means the same in every figure. names: how a
respondent is called. tables: what several tables of figures need. figures: one file a figure.
"""
