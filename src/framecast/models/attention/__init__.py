"""Recurrent networks that attend: to past states, to windows of a map, or to all of it."""
