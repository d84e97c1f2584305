"""How much a platform is: instances, prices."""
