"""Answers: how are the model servers started and spoken to? The only package that opens a socket to a model.

May import domain, masking, prompts and agents' ports; never gates or ledger. Open `server.py` for the two vLLM commands.
"""
