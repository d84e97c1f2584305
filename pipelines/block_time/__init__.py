"""How long will a flight be in the air, asked an hour before its departure?"""
