"""One report, five formats: every renderer is a pure function from a Report to text."""
