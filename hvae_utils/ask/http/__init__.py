"""The HTTP client on libcurl and its limits; only `ask.chat` opens it."""
