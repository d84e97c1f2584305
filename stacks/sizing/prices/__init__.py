"""List prices and what a stack costs by them."""
