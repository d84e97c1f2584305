"""Hyperparameter tuning: training jobs started until the best values of a range are found."""
