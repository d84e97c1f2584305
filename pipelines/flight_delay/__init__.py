"""Will a flight arrive 15 or more minutes late, asked an hour before its departure?"""
