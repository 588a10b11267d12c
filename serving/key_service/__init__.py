"""Which key service keeps the tenants' secrets, and how is it reached?

Implements `masking.key_services.KeyService`. May import masking, storage and domain. Open `access.py` first.
"""
