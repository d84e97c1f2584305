"""The only place where components meet: settings in, a stack out."""
