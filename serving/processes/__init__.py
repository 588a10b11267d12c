"""What does each process run? One module a process: read the configuration from standard input, build the parts, serve.

May import: `serving.wiring`, `serving.launch`, `serving.serve`. Open first: `edge.py`.
"""
