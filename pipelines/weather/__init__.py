"""Hourly weather at the airports of origin, as features for whoever predicts flights."""
