"""How does the edge reach the graphs? One turn in, a stream of checked events out, over a private socket.

May import agents, retrieval, serving.vllm; holds database role `ai` only. Open first: `app.py`.
"""
