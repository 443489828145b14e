"""What most users never open: a Dask cluster, OpenAI batches, imported prompts."""
