"""The classroom's web pages: the only room that answers HTTP."""
