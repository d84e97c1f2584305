"""Ways to break Plinth, many times over; `make test` runs the small version of each."""
