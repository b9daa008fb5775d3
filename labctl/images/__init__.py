"""Base images: build them from recipes, import foreign ones, keep them in the host's pool."""
