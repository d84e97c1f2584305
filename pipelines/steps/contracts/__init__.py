"""Data contracts: what every month of input must hold, as Great Expectations suites in data."""
