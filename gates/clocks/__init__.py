"""Until when must a dispute be answered?

Pure dates: business days of the Federal Reserve, and the error resolution clock of Regulation E. May import domain only.
Open `reg_e.py` first.
"""
