"""A study is played and recorded: conditions, records, the engine, costs."""
