"""In which order do the SQL files run? One module for each file in `../sql`. Open first: `v0001_foundation.py`."""
