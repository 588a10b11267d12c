"""How does anything get in or out?

HTTP API, console, CLI, supervisor, the four processes, settings, wiring; outbound: `vllm`.
May import every plane; nothing imports it.
Open first: `wiring.py`, then `edge/conversation.py`.
"""
