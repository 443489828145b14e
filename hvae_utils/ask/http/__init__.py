"""The HTTP client on libcurl and its limits; `ask.chat` alone opens it."""
