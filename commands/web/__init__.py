"""The web, read safely: what is fetched, how, and as which text the model sees it."""
