"""What does this uploaded document say, and where on the page?

OCR, MRZ, forms, fields and checks of KYC documents.
May import: retrieval, prompts, masking, storage, domain; never ledger or gates.
"""
