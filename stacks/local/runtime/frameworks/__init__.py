"""Programs that stand for those in AWS's framework images."""
