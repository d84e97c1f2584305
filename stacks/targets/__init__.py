"""Where an environment lives: the engine, clients, draining, leftovers."""
