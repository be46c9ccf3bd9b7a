"""The Belgian eID in a PC/SC reader: reading its files, judging them, and nothing that needs a PIN."""
