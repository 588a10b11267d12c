"""How do scripts and people at a terminal use the service?

Stateful commands are HTTP clients over the API socket; pure ones (`verify`) need nothing running. May import serving and below.
Open first: `app.py`.
"""
