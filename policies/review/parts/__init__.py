"""The parts of a review: one module each, one function; see order.py."""
