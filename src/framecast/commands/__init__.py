"""Commands that have no package of their own: demo, race, study, inspect, models, doctor."""
