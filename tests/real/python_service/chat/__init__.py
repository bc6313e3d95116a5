"""A chat service on the Mistral API."""
