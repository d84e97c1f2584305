"""AWS resource types that moto lacks, recorded as data: a stack can create and show them."""
